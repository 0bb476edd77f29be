"""Requests in their thousands at a server whose versions change, each answer checked.

    PYTHONPATH=.:tests/gdns_tf python tests/gdns_tf/clients/load.py --requests=100000 --threads=64

About a quarter of the requests are malformed. gRPC answers say which version answered, and must be exactly that
version's; REST answers do not, and must be exactly those of one version that has been published.
"""

import argparse
import collections
import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import requests
import tensorflow as tf
from served_models import PADDING, Oracle, export_model
from serving_folder import serving
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

UNKNOWN_USER = 77
TIMEOUT = 60


@dataclass
class Figures:
    """What happened; `wrong` and `failed` must stay empty."""

    answers: collections.Counter = field(default_factory=collections.Counter)
    """(protocol, version; None by REST) -> answers that were right."""
    refusals: collections.Counter = field(default_factory=collections.Counter)
    """(protocol, malformation, status) -> how many."""
    wrong: list = field(default_factory=list)
    failed: list = field(default_factory=list)
    milliseconds: list = field(default_factory=list)
    swaps: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        middle, late, latest = np.percentile(self.milliseconds, [50, 99, 100])
        total = sum(self.answers.values()) + sum(self.refusals.values())
        lines = [
            f"{total:,} requests in {self.seconds:.1f} s ({total / self.seconds:,.0f} a second), {self.swaps} swaps, "
            f"{sum(self.answers.values()):,} right answers, {sum(self.refusals.values()):,} refusals, "
            f"{len(self.wrong)} wrong, {len(self.failed)} failed",
            f"milliseconds: median {middle:.1f}, 99% {late:.1f}, most {latest:.1f}",
        ]
        lines += [f"  {count:7,}  {' '.join(map(str, key))}" for key, count in sorted(self.answers.items(), key=str)]
        lines += [f"  {count:7,}  {' '.join(key)}" for key, count in sorted(self.refusals.items())]
        return "\n".join(lines)


class Published:
    """Versions that are moved into a model's folder one after the other."""

    def __init__(self, folder: Path, count: int) -> None:
        staged = folder / "staged"
        self.base_path = folder / "gdns"
        self.oracles: dict[int, Oracle] = {}
        for version in range(1, count + 1):
            self.oracles[version] = export_model(staged, seed=100 + version)
        self._staged = staged
        self._next = itertools.count(1)
        self.base_path.mkdir()
        self.numbers: dict[int, Oracle] = {}
        self.publish()

    def publish(self) -> int:
        """Makes the next version visible, whole; the exported ones come round again under new numbers."""
        number = next(self._next)
        source = (number - 1) % len(self.oracles) + 1
        self.numbers[number] = self.oracles[source]
        hidden = self.base_path / f".unfinished-{number}"
        shutil.copytree(self._staged / str(source), hidden)
        os.rename(hidden, self.base_path / str(number))
        return number


def run_load(folder: Path, num_requests: int, num_threads: int, swap_seconds: float, num_models: int = 3) -> Figures:
    """Sends the requests while versions are swapped, half of them after the first swap; returns what came of them."""
    figures = Figures()
    published = Published(folder, num_models)
    lock = threading.Lock()
    done, swapped = threading.Event(), threading.Event()
    with serving(published.base_path) as server:

        def swap() -> None:
            try:
                while not done.wait(swap_seconds):
                    number = published.publish()
                    assert server.models["gdns"].wait_for(number, 60), f"version {number} never came"
                    swapped.set()
                    with lock:
                        figures.swaps += 1
                    for old in range(1, number - 1):  # long since replaced
                        shutil.rmtree(published.base_path / str(old), ignore_errors=True)
            finally:
                swapped.set()  # nobody waits for one that fails

        swapper = threading.Thread(target=swap)
        swapper.start()
        started = time.monotonic()
        senders = threading.local()

        def send(number: int) -> None:
            if number >= num_requests // 2:
                swapped.wait()
            if not hasattr(senders, "both"):
                senders.both = (Grpc(server.grpc_address), Rest(server.rest_address))
            rng = random.Random(number)
            sender = senders.both[rng.random() < 0.3]
            begun = time.monotonic()
            try:
                if rng.random() < 0.25:
                    outcome = sender.malformed(rng)
                    with lock:
                        figures.refusals[outcome] += 1
                else:
                    version, complaint = sender.ask(rng, published.numbers)
                    with lock:
                        figures.answers[sender.name, version] += 1
                        if complaint:
                            figures.wrong.append(complaint)
            except Exception as error:
                with lock:
                    figures.failed.append(repr(error))
            figures.milliseconds.append(1000 * (time.monotonic() - begun))

        with ThreadPoolExecutor(num_threads) as pool:
            list(pool.map(send, range(num_requests)))
        figures.seconds = time.monotonic() - started
        done.set()
        swapper.join()
        assert Grpc(server.grpc_address).ask(random.Random(0), published.numbers)[1] is None, "the server still answers"
    return figures


@dataclass(frozen=True)
class Question:
    """A request for a few users, and what makes an answer right."""

    users: list
    k: int | None
    """None: serving_default."""
    exclude_seen: bool = True
    exclude: list = field(default_factory=list)

    @classmethod
    def draw(cls, rng: random.Random, oracle: Oracle) -> "Question":
        users = [rng.choice([*oracle.user_ids, UNKNOWN_USER]) for _ in range(rng.choice([1, 1, 1, 4]))]
        if rng.random() < 0.5:
            return cls(users, None)
        k = rng.choice([-3, 0, 1, 5, 50, 2**31 - 1])
        return cls(users, k, rng.random() < 0.5, rng.sample(oracle.item_ids, 3))

    def signature(self) -> str:
        return "serving_default" if self.k is None else "retrieve"

    def inputs(self) -> dict[str, np.ndarray]:
        users = np.array(self.users, np.int64)
        if self.k is None:
            return {"user_ids": users}
        return {
            "user_ids": users,
            "k": np.full(len(users), self.k, np.int32),
            "exclude_seen": np.full(len(users), self.exclude_seen),
            "exclude_ids": np.array([self.exclude] * len(users), np.int64),
            "restrict_to": np.full((len(users), 1), PADDING["int64"]),
        }

    def complaint(self, item_ids: list, scores: list, known: list, oracle: Oracle) -> str | None:
        """What is wrong with an answer, or None."""
        k = 10 if self.k is None else max(self.k, 0)
        for user, items, values, is_known in zip(self.users, item_ids, scores, known, strict=True):
            found = [(item, score) for item, score in zip(items, values, strict=True) if item != PADDING["int64"]]
            expected = oracle.recommend(user, k, self.exclude_seen, self.exclude)
            if found != expected or is_known != (user in oracle.user_ids):
                return f"{self} for {user}: {found} in place of {expected}"
        return None


class Grpc:
    name = "grpc"

    def __init__(self, address: str) -> None:
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(address))

    def ask(self, rng: random.Random, numbers: dict[int, Oracle]) -> tuple[int, str | None]:
        question = Question.draw(rng, numbers[1])
        response = self._send(question.signature(), question.inputs())
        version = response.model_spec.version.value
        outputs = {name: tf.make_ndarray(value).tolist() for name, value in response.outputs.items()}
        complaint = question.complaint(outputs["item_ids"], outputs["scores"], outputs["known_user"], numbers[version])
        return version, complaint

    def malformed(self, rng: random.Random) -> tuple[str, str, str]:
        users, lists = np.array([1000, 1001]), np.array([[5000], [5001]])
        retrieve = {
            "user_ids": users,
            "k": np.array([3, 3], np.int32),
            "exclude_seen": np.array([True, True]),
            "exclude_ids": lists,
            "restrict_to": lists,
        }
        short = tensor_pb2.TensorProto(dtype=types_pb2.DT_INT64, tensor_content=b"123")
        short.tensor_shape.dim.add(size=4)
        kind, signature, inputs = rng.choice(
            [
                ("text for numbers", "serving_default", {"user_ids": np.array([b"x"], object)}),
                ("fractions for ids", "serving_default", {"user_ids": np.array([1.5], np.float32)}),
                ("int32 for int64", "serving_default", {"user_ids": np.array([1], np.int32)}),
                ("no input", "serving_default", {}),
                ("input too many", "serving_default", {"user_ids": users, "k": users}),
                ("input missing", "retrieve", {name: retrieve[name] for name in list(retrieve)[:4]}),
                ("users of rank 2", "serving_default", {"user_ids": users[:, None]}),
                ("user of rank 0", "serving_default", {"user_ids": users[0]}),
                ("k of rank 0", "retrieve", retrieve | {"k": np.int32(3)}),
                ("k for 3 of 2 users", "retrieve", retrieve | {"k": np.array([3, 3, 3], np.int32)}),
                ("list of rank 1", "retrieve", retrieve | {"exclude_ids": users}),
                ("list of rank 3", "retrieve", retrieve | {"restrict_to": lists[None]}),
                ("rank: list of rank 1", "rank", {"user_ids": users, "item_ids": users}),
                ("rank: list of rank 3", "rank", {"user_ids": users, "item_ids": lists[:, None]}),
                ("broken tensor", "serving_default", {"user_ids": short}),
                ("unknown signature", "recommend", {"user_ids": users}),
                ("unknown model", "serving_default", {"user_ids": users}),
            ]
        )
        try:
            self._send(signature, inputs, model="movies" if kind == "unknown model" else "gdns")
        except grpc.RpcError as error:
            return self.name, kind, error.code().name if error.details() else "without a message"
        raise AssertionError(f"{kind}: answered")

    def _send(self, signature: str, inputs: dict, model: str = "gdns") -> predict_pb2.PredictResponse:
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = model, signature
        for name, value in inputs.items():
            is_proto = isinstance(value, tensor_pb2.TensorProto)
            request.inputs[name].CopyFrom(value if is_proto else tf.make_tensor_proto(value))
        return self._stub.Predict(request, timeout=TIMEOUT)


class Rest:
    name = "rest"

    def __init__(self, address: str) -> None:
        self._url = f"{address}/v1/models"
        self._session = requests.Session()

    def ask(self, rng: random.Random, numbers: dict[int, Oracle]) -> tuple[None, str | None]:
        question = Question.draw(rng, numbers[1])
        inputs = {name: value.tolist() for name, value in question.inputs().items()}
        body = json.dumps({"signature_name": question.signature(), "inputs": inputs})
        response = self._session.post(f"{self._url}/gdns:predict", data=body, timeout=TIMEOUT)
        response.raise_for_status()
        outputs = response.json()["outputs"]
        answer = (outputs["item_ids"], outputs["scores"], outputs["known_user"])
        distinct = {id(oracle): oracle for oracle in list(numbers.values())}.values()
        complaints = [question.complaint(*answer, oracle) for oracle in distinct]
        return None, None if None in complaints else complaints[0]

    def malformed(self, rng: random.Random) -> tuple[str, str, str]:
        kind, model, body = rng.choice(
            [
                ("broken JSON", "gdns", '{"inputs": [1'),
                ("JSON list", "gdns", "[1]"),
                ("no inputs", "gdns", "{}"),
                ("both forms", "gdns", '{"inputs": [1], "instances": [1]}'),
                ("text for numbers", "gdns", '{"inputs": ["x"]}'),
                ("fractions for ids", "gdns", '{"inputs": [1.5]}'),
                ("beyond 64 bits", "gdns", f'{{"inputs": [{2**63}]}}'),
                ("uneven list", "gdns", '{"inputs": [[1], [1, 2]]}'),
                ("null", "gdns", '{"inputs": [null]}'),
                ("users of rank 2", "gdns", '{"inputs": [[1, 2], [3, 4]]}'),
                ("input missing", "gdns", '{"signature_name": "retrieve", "inputs": {"user_ids": [1]}}'),
                ("unknown signature", "gdns", '{"signature_name": "recommend", "inputs": [1]}'),
                ("unknown model", "movies", '{"inputs": [1]}'),
            ]
        )
        response = self._session.post(f"{self._url}/{model}:predict", data=body, timeout=TIMEOUT)
        assert not response.ok, f"{kind}: answered {response.text}"
        assert response.json()["error"], f"{kind}: refused without a message"
        return self.name, kind, f"HTTP {response.status_code}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--swap_seconds", type=float, default=0.5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run_load(Path(folder), arguments.requests, arguments.threads, arguments.swap_seconds)
    print(figures)
    sys.exit("\n".join((figures.wrong + figures.failed)[:5]) or None)


if __name__ == "__main__":
    main()
