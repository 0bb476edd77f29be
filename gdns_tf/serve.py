"""Serves exported models on TensorFlow Serving's contracts, REST and gRPC, for trying out and for small loads.

    python -m gdns_tf.serve --model=savedmodel/models/shop
    curl localhost:8501/v1/models/shop:predict -d '{"instances": [42]}'
    python -m gdns_tf.recommend --user=42 --server=localhost:8500 --model_name=shop

New versions take over while it runs: each is loaded beside the old one, made warm by its own requests, and then asked
in its place. Ctrl-C or SIGTERM answers what is under way, and ends.

This is not TensorFlow Serving, which is for production (savedmodel/README.md). What works here works there, with the
same requests; but this is one Python process, without batching of requests, passwords, Classify, Regress and
MultiInference, models.config files, and a compiled server's speed. Needs: pip install 'gdns_tf[serve]'
"""

import contextlib
import os
import resource
import time
from dataclasses import dataclass

from gdns_tf.command import Read, run_command
from gdns_tf.runs.interrupts import Interrupts
from gdns_tf.server.packages import require_packages
from pipelines.checks import Settings
from pipelines.config import flag
from pipelines.errors import InputError, require

_IT_IS = (
    "This is gdns_tf's own server and not TensorFlow Serving: for trying out and for small loads; see --help. "
    "Ctrl-C ends it."
)


@dataclass(frozen=True)
class ServeConfig(Settings):
    """What to serve, and where."""

    model: tuple[str, ...] = flag(
        ("savedmodel/models/gdns",),
        "Folder of a model, or its address (gs://, s3://), whose name is the model's; repeat it for several.",
        main=True,
        repeated=True,
        path=True,
    )
    rest_api_port: int = flag(
        8501, "Port for REST, metrics and health; 0: a free one.", main=True, at_least=0, at_most=65_535
    )
    port: int = flag(8500, "Port for gRPC; 0: a free one.", main=True, at_least=0, at_most=65_535)
    host: str = flag("127.0.0.1", "Name or address to listen on; 0.0.0.0: all, also for other machines.", main=True)
    file_system_poll_wait_seconds: float = flag(
        1.0, "How often to look for new versions; 0: never again.", main=True, at_least=0, at_most=86_400
    )
    threads: int = flag(0, "Requests that are worked on at a time; 0: four for each core.", at_least=0, at_most=1024)
    max_request_mb: float = flag(
        16.0, "Longest request, in megabytes; JSON may take 25 times as much memory.", above=0, at_most=2000
    )
    rest_api_timeout_in_ms: float = flag(
        30_000.0,
        "Longest wait for a request or an answer by REST, and when the server ends.",
        above=0,
        at_most=86_400_000,
    )
    tls_cert_file: str = flag("", "PEM file of the server's certificate: then both ports speak TLS alone.", path=True)
    tls_key_file: str = flag("", "PEM file of its key, not encrypted.", path=True)
    tls_ca_file: str = flag("", "PEM file of authorities, one of which must have certified each client.", path=True)

    def check(self) -> None:
        if not self.model or not all(self.model):
            raise InputError("`model` is not set", remedy="Give the folder of an exported model.")
        if self.port == self.rest_api_port != 0:
            raise InputError(f"`port` and `rest_api_port` are both {self.port}", remedy="Give each its own.")
        require(bool(self.host), "host", "''", "is no address: 0.0.0.0 is all of this machine's")
        if bool(self.tls_cert_file) != bool(self.tls_key_file) or (self.tls_ca_file and not self.tls_cert_file):
            raise InputError("`tls_cert_file` and `tls_key_file` go together, and `tls_ca_file` with both")


def serve(config: ServeConfig) -> None:
    """Serves until the process is asked to end.

    Raises:
      InputError: packages are missing, a port is taken, or a folder is not there.
    """
    require_packages()
    import gdns_tf.keras2  # noqa: F401 (TensorFlow without its noise, so before all that import it)

    # isort: split
    from gdns_tf.server.introduction import introduction
    from gdns_tf.server.model_server import Limits, ModelServer
    from gdns_tf.server.models import server_config
    from gdns_tf.server.tls import Tls

    limits = Limits(
        threads=config.threads or 4 * (os.cpu_count() or 1),
        max_request_bytes=round(config.max_request_mb * 1e6),
        timeout=config.rest_api_timeout_in_ms / 1000,
    )
    files = (config.tls_cert_file, config.tls_key_file, config.tls_ca_file)
    tls = Tls(*files) if config.tls_cert_file else None
    print(_IT_IS, flush=True)
    _allow_many_connections()
    with (
        Interrupts() as interrupts,
        ModelServer(
            server_config(config.model),
            host=config.host,
            rest_port=config.rest_api_port,
            grpc_port=config.port,
            poll_seconds=config.file_system_poll_wait_seconds,
            limits=limits,
            tls=tls,
        ) as server,
    ):
        for line in introduction(server):
            print(line, flush=True)
        while not interrupts.received:
            time.sleep(0.1)
        print("answering what is under way ...", flush=True)


def _allow_many_connections() -> None:
    """Lets the process have as many open connections as the system allows it; many shells allow 1,024 unasked."""
    with contextlib.suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(read: Read) -> None:
    serve(read(ServeConfig))


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [ServeConfig])


if __name__ == "__main__":
    run()
