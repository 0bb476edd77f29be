"""`gdns_tf.serve` for minutes under mixed load, while its versions are swapped: every answer right, memory flat.

    python -m gdns_tf.benchmarks.soak [--minutes=10] [--connections=16] [--swap_seconds=5]

It exports some made-up models of the same data, starts the server as a process of its own, and publishes them in turn
as new versions. Meanwhile connections, half of them gRPC and half REST, ask it all kinds of questions, each as soon as
it has its answer; one request of ten makes no sense and must be refused. An answer is right if it is that of a version
which could be served then: from the newest that was known to be when the request began to the newest at its end.

The server's memory is sampled all the while. What is printed at the end is its slope over the second half of the time,
by least squares, for it grows at first: caches of the allocators and of TensorFlow fill up. The exit code is 1 where an
answer was wrong or did not come, or where the slope over the half was above `max_growth_mb`.
"""

import itertools
import json
import os
import shutil
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gdns_tf.benchmarks.serving import (
    NAME,
    Connection,
    GrpcConnection,
    Question,
    RestConnection,
    Server,
    export,
    questions,
    served,
)
from gdns_tf.clients.in_process import SavedModel
from gdns_tf.command import Read, run_command
from gdns_tf.server.packages import require_packages
from pipelines.checks import Settings
from pipelines.config import flag
from pipelines.errors import InputError

_MODELS = 3
_KEPT = 3
"""Versions that stay in the folder."""
_LOAD_SECONDS = 120
_SENSELESS = 10
"""One request of so many makes no sense."""


@dataclass(frozen=True)
class SoakConfig(Settings):
    """How long, and how hard."""

    minutes: float = flag(10.0, "Minutes of load.", main=True, above=0, at_most=10_000)
    connections: int = flag(16, "Connections, half of them gRPC.", main=True, at_least=2, at_most=1000)
    swap_seconds: float = flag(5.0, "Seconds from one version to the next.", main=True, above=0, at_most=86_400)
    num_items: int = flag(3533, "Items of the catalogue.", main=True, at_least=500, at_most=10_000_000)
    dim: int = flag(64, "Factors.", at_least=1, at_most=4096)
    k: int = flag(20, "Items for each.", at_least=1, at_most=200)
    max_growth_mb: float = flag(
        20.0, "Growth of the server's memory over the second half that still counts as none.", above=0
    )


@dataclass
class Figures:
    """What came of it."""

    answers: Counter = field(default_factory=Counter)
    """Kind of question -> right answers."""
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    swaps: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Seconds from the beginning, and megabytes of the server."""

    def growth(self) -> float:
        """Megabytes that the server's memory grew by over the second half of the time; NaN where it is not known."""
        seconds, megabytes = np.array(self.memory).T
        late = seconds >= seconds[-1] / 2
        slope = np.polyfit(seconds[late], megabytes[late], 1)[0] if late.sum() > 1 else np.nan
        return float(slope * seconds[-1] / 2)

    def __str__(self) -> str:
        total, seconds = self.answers.total() + self.refused + len(self.wrong), self.memory[-1][0]
        megabytes = np.array(self.memory)[:, 1]
        half = len(megabytes) // 2
        return (
            f"{total:,} requests in {seconds:.0f} s ({total / seconds:,.0f} a second), {self.swaps} swaps of versions: "
            f"{self.answers.total():,} right answers, {self.refused:,} refusals of what makes no sense, "
            f"{len(self.wrong)} wrong\n"
            f"memory of the server: {megabytes[0]:.0f} MB at first, {megabytes[half]:.0f} at half time, "
            f"{megabytes[-1]:.0f} at the end, at most {megabytes.max():.0f}; slope over the second half "
            f"{self.growth() / (seconds / 2) * 3600:+.1f} MB an hour ({self.growth():+.1f} MB)"
        )


class Publisher:
    """Moves models into a folder as versions, one after the other, and knows which may be served."""

    def __init__(self, folder: Path, staged: Sequence[Path]) -> None:
        self._folder, self._staged = folder, staged
        self.newest = self.served = 0
        """The newest version in the folder, and the newest that has been seen to be served."""
        folder.mkdir()

    def publish(self) -> None:
        """The next version, whole; old ones go."""
        self.newest += 1
        hidden = self._folder / f".unfinished-{self.newest}"
        shutil.copytree(self._staged[self.newest % len(self._staged)], hidden)
        os.rename(hidden, self._folder / str(self.newest))
        shutil.rmtree(self._folder / str(self.newest - _KEPT), ignore_errors=True)

    def await_served(self, server: Server) -> None:
        """Waits until the newest version is served.

        Raises:
          InputError: it does not come.
        """
        address, until = f"http://{server.rest_address}/v1/models/{NAME}", time.monotonic() + _LOAD_SECONDS
        while time.monotonic() < until:
            with urllib.request.urlopen(address, timeout=_LOAD_SECONDS) as answer:
                states = json.load(answer)["model_version_status"]
            if any(int(each["version"]) == self.newest and each["state"] == "AVAILABLE" for each in states):
                self.served = self.newest
                return
            time.sleep(0.05)
        raise InputError(f"version {self.newest} was not served within {_LOAD_SECONDS} s")

    def models(self, since: int) -> set[int]:
        """Numbers of the models that may have answered a request when version `since` was the newest to be served."""
        return {number % len(self._staged) for number in range(max(since, 1), self.newest + 1)}


def soak(config: SoakConfig) -> Figures:
    """Runs the load, prints what is seen each minute, and returns it."""
    with tempfile.TemporaryDirectory() as folder:
        versions = Path(folder) / "versions"
        for seed in range(_MODELS):
            data = export(versions, config.num_items, config.dim, config.k, seed).train
        staged = [versions / str(number) for number in range(1, _MODELS + 1)]
        asked = [questions(SavedModel(path), data, config.k) for path in staged]
        publisher = Publisher(Path(folder) / NAME, staged)
        publisher.publish()
        with served(Path(folder) / NAME, "--file_system_poll_wait_seconds=0.2") as server:
            return _load(config, server, publisher, asked)


def _load(config: SoakConfig, server: Server, publisher: Publisher, asked: Sequence[list[Question]]) -> Figures:
    figures, over = Figures(), threading.Event()
    half = config.connections // 2
    kinds = [GrpcConnection] * half + [RestConnection] * (config.connections - half)
    connections = [kind(server, [*asked[0], *_senseless(asked[0])]) for kind in kinds]
    began = time.monotonic()

    def observe() -> None:
        shown = itertools.count(1)
        next_shown = next(shown)
        while True:
            seconds = time.monotonic() - began
            figures.memory.append((seconds, server.memory_mb()))
            if seconds > 60 * next_shown:
                next_shown = next(shown)
                told = f"{figures.answers.total():,} right, {len(figures.wrong)} wrong, {figures.swaps} swaps"
                print(f"{seconds:.0f} s: {told}, {figures.memory[-1][1]:.0f} MB", flush=True)
            if over.wait(min(1.0, 6 * config.minutes)):
                return

    def swap() -> None:
        while not over.wait(config.swap_seconds):
            publisher.publish()
            publisher.await_served(server)
            figures.swaps += 1

    numbers = itertools.count()

    def ask(connection: Connection) -> None:
        while time.monotonic() - began < 60 * config.minutes:
            _ask(connection, next(numbers), publisher, asked, figures)

    with ThreadPoolExecutor(len(connections) + 2) as pool:
        others = [pool.submit(observe), pool.submit(swap)]
        try:
            for done in [pool.submit(ask, connection) for connection in connections]:
                done.result()
        finally:
            over.set()
        for other in others:
            other.result()
    for connection in connections:
        connection.close()
    return figures


def _ask(
    connection: Connection, number: int, publisher: Publisher, asked: Sequence[list[Question]], figures: Figures
) -> None:
    """One request; counts what came of it."""
    senseless, count = number % _SENSELESS == 0, len(asked[0])
    place = number // _SENSELESS % len(_WRONG) + count if senseless else number % count
    since = publisher.served
    try:
        found = connection.ask(place)
    except Exception as error:  # whatever the client raises; it is counted
        if senseless and any(status in repr(error) for status in ("HTTP 400", "INVALID_ARGUMENT")):
            figures.refused += 1
        else:
            figures.wrong.append(f"{place}: {error!r}")
        return
    if senseless:
        figures.wrong.append(f"{place}: {found} in place of a refusal")
        return
    if any(asked[model][place].is_answered_by(found) for model in publisher.models(since)):
        figures.answers[asked[0][place].kind] += 1
    else:
        figures.wrong.append(f"{asked[0][place].kind}: {found} is the answer of no version that was served")


_WRONG = (
    ("serving_default", {"user_ids": np.array([[1, 2], [3, 4]])}),
    ("serving_default", {"user_ids": np.array([1.5])}),
    ("rank", {"user_ids": np.array([1]), "item_ids": np.array([1])}),
    ("similar_items", {"item_ids": np.array(["x"]), "k": np.array([1], np.int32)}),
)
"""Requests that make no sense: signature and inputs."""


def _senseless(asked: Sequence[Question]) -> list[Question]:
    return [Question("senseless", signature, inputs, {}) for signature, inputs in _WRONG]


def main(read: Read) -> None:
    require_packages()
    config = read(SoakConfig)
    figures = soak(config)
    print(figures, *figures.wrong[:5], sep="\n")
    if figures.wrong:
        raise InputError(f"{len(figures.wrong)} answers were wrong or did not come")
    if figures.growth() > config.max_growth_mb:
        raise InputError(f"the server's memory grew by {figures.growth():.1f} MB over the second half of the time")


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [SoakConfig])


if __name__ == "__main__":
    run()
