"""Memory and time of requests that ask for much, each in a process of its own.

    python -m gdns_tf.benchmarks.requests [--num_items=100000] [--export_dir=FOLDER/VERSION]

It exports a made-up model of integer ids twice, with the limits of an export that says nothing of them and with none to
speak of, and asks each for the same. For each request a new process loads the version, asks for one row, which is idle,
and then for all. The table tells by how much the memory of the process rose at most, its inputs and answers among it,
and how long the answer took; "refused" is what limits are for. With --export_dir an exported version is asked in place
of those, such as one that was written by another version of gdns_tf.
"""

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from gdns_tf.benchmarks.serving import export
from gdns_tf.clients.errors import InvalidRequest, ServingError
from gdns_tf.clients.in_process import SavedModel
from gdns_tf.command import Read, run_command
from gdns_tf.markdown import table
from gdns_tf.serving.contract import SIGNATURES
from gdns_tf.serving.limits import Limits
from pipelines.checks import Settings
from pipelines.config import flag
from pipelines.errors import InputError

Arrays = Mapping[str, np.ndarray]
_USERS = 256
"""Of the model; the users of a request are those in turn."""
_MOST = 2**31 - 1
_K = 100


@dataclass(frozen=True)
class RequestsBenchConfig(Settings):
    """What to measure."""

    num_items: int = flag(100_000, "Size of the catalogue.", main=True, at_least=1000)
    dim: int = flag(64, "Factors.", main=True, at_least=1, at_most=2**16)
    scale: float = flag(1.0, "How large requests are, where 1 is as the table says.", main=True, above=0, at_most=1)
    export_dir: str = flag("", "An exported version to ask in place of new ones.", main=True, path=True)
    gigabytes: float = flag(
        12.0, "Address space that a process may take beyond what TensorFlow does; more fails.", above=0, at_most=1e6
    )


@dataclass(frozen=True)
class Request:
    """What is asked of a signature: rows of random ids of the model."""

    signature: str
    rows: int
    width: int = 0
    """Ids of each list."""
    k: int = _K
    lists: str = ""
    """Which input of `retrieve` is a list."""
    one_for_all: bool = False
    """Whether the list is one for all rows."""

    def name(self) -> str:
        width = f", {self.lists or 'lists'} of {self.width:,}" if self.width else ""
        k = f", k = {self.k:,}" if self.k != _K and self.signature != "describe" else ""
        return f"`{self.signature}`: {self.rows:,} rows{width}{' for all' if self.one_for_all else ''}{k}"

    def scaled(self, scale: float) -> "Request":
        """The same for fewer rows and shorter lists."""
        sizes = (max(int(size * scale), min(size, 1)) for size in (self.rows, self.width, self.k))
        return Request(self.signature, *sizes, self.lists, self.one_for_all)

    def inputs(self, num_items: int, rows: int | None = None) -> Arrays:
        """By name, of as many rows as asked, or of others."""
        rows = self.rows if rows is None else rows
        rng = np.random.default_rng(0)
        made: dict[str, np.ndarray] = {}
        for tensor in SIGNATURES[self.signature].inputs:
            if tensor.name == "user_ids":
                made[tensor.name] = np.arange(rows) % _USERS + 1
            elif tensor.name == "parts":
                made[tensor.name] = np.full(rows, "", object)
            elif tensor.name == "k":
                made[tensor.name] = np.full(rows, self.k, np.int32)
            elif tensor.name == "exclude_seen":
                made[tensor.name] = np.ones(rows, bool)
            elif tensor.rank == 1:
                made[tensor.name] = rng.integers(1, num_items + 1, rows)
            else:
                width = self.width if self.lists in ("", tensor.name) else 0
                made[tensor.name] = rng.integers(1, num_items + 1, (1 if self.one_for_all else rows, width))
        return made


REQUESTS = (
    Request("serving_default", 256),
    Request("serving_default", 10_000),
    Request("serving_default", 100_000),
    Request("retrieve", 100, 1_000_000, lists="exclude_ids", one_for_all=True),
    Request("retrieve", 100, 1_000_000, lists="restrict_to", one_for_all=True),
    Request("retrieve", 100, 100_000, lists="exclude_ids", one_for_all=True),
    Request("retrieve", 100, 100_000, lists="restrict_to", one_for_all=True),
    Request("retrieve", 1000, 1000, lists="exclude_ids"),
    Request("retrieve", 1000, 1000, lists="restrict_to"),
    Request("retrieve", 1000, k=_MOST),
    Request("retrieve", 100, k=10_000),
    Request("similar_items", 10_000),
    Request("retrieve_by_history", 1000, 1000),
    Request("retrieve_by_history", 10, 100_000),
    Request("rank", 10, 100_000),
    Request("explain", 1000, 300, k=3),
    Request("cosines", 1, 1000),
    Request("cosines", 1, 30_000),
    Request("describe", 1000),
    Request("describe", 1_000_000),
)


def _memory() -> dict[str, int]:
    """Kilobytes of this process now and at most, as Linux tells them."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if words and words[0] in ("VmRSS:", "VmHWM:")}


def _ask(answer: Connection, folder: str, request: Request, num_items: int, gigabytes: float) -> None:
    """In a process of its own: sends megabytes above idle, seconds, and what the model said against it."""
    model, outputs = SavedModel(folder), [tensor.name for tensor in SIGNATURES[request.signature].outputs]
    few = Request(request.signature, 1, min(request.width, 1), 1, request.lists)
    model.call(request.signature, few.inputs(num_items), outputs)
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    Path("/proc/self/clear_refs").write_text("5")  # the highest is counted from here
    idle, began, refused = _memory()["VmRSS"], time.perf_counter(), ""
    try:
        model.call(request.signature, request.inputs(num_items), outputs)
    except InvalidRequest:
        refused = "refused"
    except (ServingError, MemoryError):
        refused = f"failed for want of {gigabytes:g} GB"
    took = time.perf_counter() - began
    answer.send(((_memory()["VmHWM"] - idle) / 1000, took, refused))


def measure(folder: Path, request: Request, config: RequestsBenchConfig) -> str:
    """A cell of the table."""
    context = multiprocessing.get_context("fork")  # TensorFlow is imported then, and nothing was done with it yet
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_ask, args=(send, str(folder), request, config.num_items, config.gigabytes))
    process.start()
    send.close()
    try:
        megabytes, seconds, refused = receive.recv()
    except EOFError:
        return f"died of {config.gigabytes:g} GB"
    finally:
        process.join()
    return f"{refused}{', ' * bool(refused)}{megabytes:,.0f} MB, {seconds:.2f} s"


def bench(config: RequestsBenchConfig, requests: tuple[Request, ...] = REQUESTS) -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        if config.export_dir:
            asked = {config.export_dir: Path(config.export_dir)}
        else:
            asked = {}
            for name, limits in (("no limits", Limits(_MOST, _MOST, _MOST)), ("limits as they come", Limits())):
                asked[name] = Path(folder) / name
                options = {"num_items": config.num_items, "dim": config.dim, "k": _K, "limits": limits}
                process = multiprocessing.get_context("spawn").Process(
                    target=export, args=[asked[name]], kwargs=options
                )
                process.start()
                process.join()
                if process.exitcode:
                    raise InputError("the model could not be exported")
        rows = []
        for request in requests:
            request = request.scaled(config.scale)
            rows.append([request.name(), *(measure(path, request, config) for path in asked.values())])
            print(" | ".join(rows[-1]), flush=True)
    print(f"\n{config.num_items:,} items, d = {config.dim}\n\n{table(['request', *asked], rows)}")


def main(read: Read) -> None:
    bench(read(RequestsBenchConfig))


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [RequestsBenchConfig])


if __name__ == "__main__":
    run()
