"""Speed of `gdns_tf.serve` under load, with every answer checked.

    python -m gdns_tf.benchmarks.serving [--num_items=3533,100000] [--quick]

For each catalogue size it exports a made-up model, starts the server as a process of its own, and asks it over many
connections, half of them gRPC and half REST, each with the next request as soon as it has its answer: for a user, for
a user with exclusions, by a history, similar items, and scores of given items. It prints requests a second, the
latency that clients see, and the processor time of the server, with all connections and, for gRPC and REST by
themselves, with one. With n connections that are never idle the mean latency is n / throughput, whatever the server
does; processor time does not count how long other jobs kept the cores.

Every answer is compared with that of the same model in this process; the exit code is 1 where one is wrong. The clients
take their share of the machine's cores.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path

import numpy as np

from gdns_tf.benchmarks.retrieval import enlarged, mixture
from gdns_tf.clients.in_process import SavedModel, tf
from gdns_tf.command import Read, run_command
from gdns_tf.markdown import table
from gdns_tf.models.factors import HistorySum
from gdns_tf.server.packages import require_packages
from gdns_tf.serving.contract import SIGNATURES
from gdns_tf.serving.export import export_model
from gdns_tf.serving.limits import Limits
from pipelines.checks import Settings
from pipelines.config import flag
from pipelines.errors import InputError
from pipelines.held_out import HeldOut
from pipelines.interactions import Interactions
from pipelines.split import Split

NAME = "bench"
SEEN, EXCLUDED, HISTORY, RANKED = 100, 10, 20, 100
"""Items that each user has, and items of a request."""
_QUESTIONS = 250
"""Different requests, a fifth of each kind; their answers are known beforehand."""
_START_SECONDS = 600

_HEADER = ("items", "connections", "requests/s", "median ms", "95% ms", "99% ms", "server's CPU ms", "errors")

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class ServingBenchConfig(Settings):
    """What to measure."""

    num_items: tuple[int, ...] = flag((3533, 100_000, 1_000_000), "Sizes of the catalogue.", main=True, at_least=1)
    dim: int = flag(64, "Factors.", main=True, at_least=1, at_most=2**16)
    k: int = flag(20, "Items for each.", main=True, at_least=1)
    requests: int = flag(10_000, "Requests over all connections.", main=True, at_least=1)
    single_requests: int = flag(250, "Requests over one connection, for each protocol.", at_least=1)
    connections: int = flag(64, "Connections, half of them gRPC.", main=True, at_least=2, at_most=10_000)
    threads: int = flag(0, "The server's --threads.", at_least=0, at_most=1024)
    quick: bool = flag(False, "Smoke test: 3,533 items, few requests.", main=True)

    def check(self) -> None:
        least = SEEN + self.k + RANKED
        if not self.num_items or min(self.num_items) < least:
            raise InputError(f"`num_items`={self.num_items} must each be at least `k` + {least - self.k}")


@dataclass(frozen=True)
class Question:
    """A request in both protocols, and its answer."""

    kind: str
    signature: str
    inputs: Arrays
    answer: Arrays

    def body(self) -> bytes:
        """For REST."""
        inputs = {name: value.tolist() for name, value in self.inputs.items()}
        return json.dumps({"signature_name": self.signature, "inputs": inputs}).encode()

    def is_answered_by(self, found: Mapping[str, np.ndarray]) -> bool:
        """Whether an answer has the same items, in their order, and the same scores but for rounding."""
        return found.keys() == self.answer.keys() and all(
            np.allclose(found[name], value, rtol=1e-4, atol=1e-6)
            if value.dtype.kind == "f"
            else np.array_equal(found[name], value)
            for name, value in self.answer.items()
        )


@dataclass(frozen=True)
class Figures:
    """What came of many requests."""

    seconds: float
    latencies: np.ndarray
    """[n] milliseconds."""
    wrong: list[str]
    """What was wrong with answers that were not right."""
    cpu_seconds: float
    """Processor time of the server; NaN where the system does not tell."""

    def cells(self) -> list[str]:
        """As `_HEADER` calls them, from the third on."""
        count = len(self.latencies)
        times = [*np.percentile(self.latencies, [50, 95, 99]), 1000 * self.cpu_seconds / count]
        return [f"{count / self.seconds:,.0f}", *(f"{value:.1f}" for value in times), str(len(self.wrong))]


def export(folder: Path, num_items: int, dim: int, k: int, seed: int = 0, limits: Limits | None = None) -> Split:
    """Writes a made-up model of a few hundred users, each with `SEEN` items, as the default recipe trains them.

    Models of other seeds have the same users, items and data, and other scores.
    """
    model = enlarged(mixture(seed, dim=dim), num_items)
    rng = np.random.default_rng(0)
    seen = np.concatenate([rng.choice(num_items, SEEN, replace=False) for _ in range(model.num_users)])
    train = Interactions(
        offsets=np.arange(model.num_users + 1) * SEEN,
        items=seen.astype(np.int32),
        user_ids=np.arange(model.num_users) + 1,
        item_ids=rng.permutation(num_items) + 1,
    )
    nothing = np.zeros((model.num_users, 1), np.int32)
    held_out = HeldOut.one_each(nothing[:, 0], nothing)
    split, encoder = Split("made up", train, held_out, held_out), HistorySum(model.items, 0.5)
    model = replace(model, encoder=encoder)
    export_model(model, split, folder, k=k, limits=limits, export_anyway=True)  # it was never trained
    return split


def questions(model: SavedModel, data: Interactions, k: int, seed: int = 0) -> list[Question]:
    """Requests of all kinds, the same for all models of this data, with the answers of the model in this process."""
    rng = np.random.default_rng(seed)

    def some(ids: np.ndarray, count: int) -> np.ndarray:
        return rng.choice(ids, (1, count))

    def ask() -> Iterator[tuple[str, str, Arrays]]:
        user, width = some(data.user_ids, 1)[0], np.array([k], np.int32)
        none, excluded = some(data.item_ids, 0), some(data.item_ids, EXCLUDED)
        restricted = {"k": width, "exclude_seen": np.array([True]), "exclude_ids": excluded, "restrict_to": none}
        yield "user", "serving_default", {"user_ids": user}
        yield "exclusions", "retrieve", {"user_ids": user} | restricted
        yield "history", "retrieve_by_history", {"history": some(data.item_ids, HISTORY), "k": width}
        yield "similar", "similar_items", {"item_ids": some(data.item_ids, 1)[0], "k": width}
        yield "rank", "rank", {"user_ids": user, "item_ids": some(data.item_ids, RANKED)}

    asked = itertools.chain.from_iterable(ask() for _ in range(_QUESTIONS // 5))
    return [
        Question(kind, name, inputs, model.call(name, inputs, [output.name for output in SIGNATURES[name].outputs]))
        for kind, name, inputs in asked
    ]


class RestConnection:
    """One connection to the REST port; requests are made ready beforehand."""

    def __init__(self, server: "Server", asked: Sequence[Question]) -> None:
        self._connection = HTTPConnection(server.rest_address, timeout=120)
        self._bodies = [question.body() for question in asked]

    def ask(self, number: int) -> Arrays:
        self._connection.request("POST", f"/v1/models/{NAME}:predict", self._bodies[number])
        response = self._connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise OSError(f"HTTP {response.status}: {text[:200]!r}")
        return {name: np.array(value) for name, value in json.loads(text)["outputs"].items()}

    def close(self) -> None:
        self._connection.close()


class GrpcConnection:
    """The same for gRPC."""

    def __init__(self, server: "Server", asked: Sequence[Question]) -> None:
        import grpc
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        # Else all channels of a process share one connection.
        self._channel = grpc.insecure_channel(server.grpc_address, [("grpc.use_local_subchannel_pool", 1)])
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._requests = [_proto(question) for question in asked]

    def ask(self, number: int) -> Arrays:
        response = self._stub.Predict(self._requests[number], timeout=120)
        return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}

    def close(self) -> None:
        self._channel.close()


Connection = RestConnection | GrpcConnection


def _proto(question: Question) -> object:
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = NAME, question.signature
    for name, value in question.inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value, value.dtype, value.shape))
    return request


def load(server: "Server", connections: Sequence[Connection], asked: Sequence[Question], num_requests: int) -> Figures:
    """Asks over all connections at once until so many requests have been answered, and checks each answer."""
    numbers = itertools.count()
    latencies: list[float] = []
    wrong: list[str] = []

    def go_on(connection: Connection) -> None:
        while (number := next(numbers)) < num_requests:
            question = asked[number % len(asked)]
            began = time.perf_counter()
            try:
                found = connection.ask(number % len(asked))
            except Exception as error:  # whatever the client raises; it is counted
                wrong.append(f"{question.kind}: {error!r}")
                continue
            latencies.append(1000 * (time.perf_counter() - began))
            if not question.is_answered_by(found):
                wrong.append(f"{question.kind}: {found} in place of {question.answer}")

    began, worked = time.perf_counter(), server.cpu_seconds()
    with ThreadPoolExecutor(len(connections)) as pool:
        list(pool.map(go_on, connections))
    took, worked = time.perf_counter() - began, server.cpu_seconds() - worked
    return Figures(took, np.array(latencies or [np.nan]), wrong, worked)


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    rest_address: str
    """`host:port`"""
    grpc_address: str
    process: int

    def cpu_seconds(self) -> float:
        """Its processor time until now; NaN where there is no /proc."""
        try:
            fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            return float("nan")
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Its resident memory; NaN where there is no /proc."""
        try:
            lines = Path(f"/proc/{self.process}/status").read_text().splitlines()
        except FileNotFoundError:
            return float("nan")
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), float("nan"))


@contextmanager
def served(folder: Path, *options: str) -> Iterator[Server]:
    """The server as a process while the block lasts.

    Args:
      folder: the model's.
      options: flags of the server.

    Raises:
      InputError: it does not start, or does not end as it should; shows what it said.
    """
    log = folder.with_suffix(".log")
    ports = ["--port=0", "--rest_api_port=0"]
    with log.open("wb") as output:
        command = [sys.executable, "-m", "gdns_tf.serve", f"--model={folder}", *ports, *options]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + _START_SECONDS
        while "\nmetrics: " not in log.read_text():
            if process.poll() is not None or time.monotonic() > until:
                raise InputError(f"the server did not start: {log.read_text()}")
            time.sleep(0.1)
        said = dict(
            line.split(": ", 1) for line in log.read_text().splitlines() if line.startswith(("gRPC", "metrics"))
        )
        yield Server(said["metrics"].removeprefix("http://").split("/")[0], said["gRPC"], process.pid)
        process.terminate()
        if process.wait(120):
            raise InputError(f"the server ended with {process.returncode}: {log.read_text()}")
    finally:
        process.kill()
        process.wait()


def measured(server: Server, asked: Sequence[Question], config: ServingBenchConfig) -> Iterator[tuple[str, Figures]]:
    """What was measured, and the figures."""
    half = config.connections // 2
    for name, kinds, num_requests in (
        ("1 gRPC", [GrpcConnection], config.single_requests),
        ("1 REST", [RestConnection], config.single_requests),
        (
            f"{half} gRPC, {config.connections - half} REST",
            [GrpcConnection] * half + [RestConnection] * (config.connections - half),
            config.requests,
        ),
    ):
        connections = [kind(server, asked) for kind in kinds]
        load(server, connections, asked, 5 * len(connections))  # connects, and lets all be done that is done once
        yield name, load(server, connections, asked, num_requests)
        for connection in connections:
            connection.close()


def bench(config: ServingBenchConfig) -> int:
    """Prints the table; returns the number of errors."""
    rows, errors = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for num_items in config.num_items:
            model = Path(folder) / str(num_items) / NAME
            split = export(model, num_items, config.dim, config.k)
            asked = questions(SavedModel(model), split.train, config.k)
            with served(model, f"--threads={config.threads}") as server:
                for name, figures in measured(server, asked, config):
                    rows.append([f"{num_items:,}", name, *figures.cells()])
                    errors += len(figures.wrong)
                    print(", ".join(rows[-1]), *figures.wrong[:3], sep="\n  ", flush=True)
    print(f"\nd = {config.dim}, k = {config.k}, {config.requests:,} requests\n\n{table(_HEADER, rows)}")
    return errors


def main(read: Read) -> None:
    require_packages()
    config = read(ServingBenchConfig)
    if config.quick:
        config = read(ServingBenchConfig, ServingBenchConfig(num_items=(3533,), requests=500, single_requests=50))
    if errors := bench(config):
        raise InputError(f"{errors} answers were wrong or did not come")


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [ServingBenchConfig])


if __name__ == "__main__":
    run()
