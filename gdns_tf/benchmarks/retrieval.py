"""Speed of retrieval beside NumPy, FAISS, TensorFlow Recommenders and hnswlib, in one run.

    python -m gdns_tf.benchmarks.retrieval [--weights=RUN/weights.npz] [--quick]

For each catalogue size it prints latency (median and 99th percentile) and processor time a call; from the latter, which
does not count how long other jobs kept the core, queries a second of a core and the ratio to NumPy; and for approximate
indexes also their recall against the exact answer, the time to build them and their size. Systems take turns.
`pip install 'gdns_tf[bench]'` brings FAISS and hnswlib; without them their lines are left out, with a message.

Each system has one thread, as a busy server has for each request, unless --threads says otherwise; indexes are built
with all cores.

The item vectors are those of a trained model drawn with replacement, with noise of half the factors' standard
deviation; queries are users of that model. Independent Gaussian vectors, which no training produces, have no near
neighbours and make approximate indexes look bad. Without --weights the model is a made-up mixture: clusters of items
and users, their variance falling off over the factors.
"""

import gc
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from gdns_tf.command import Read, run_command
from gdns_tf.models.factors import Factors
from gdns_tf.models.weights_file import load_weights
from gdns_tf.serving.contract import APPROXIMATE
from gdns_tf.serving.fold_in import FoldIn
from gdns_tf.serving.index import build_cells
from gdns_tf.serving.indexed_model import IndexedModel
from gdns_tf.serving.tables import ITEM_DTYPES
from gdns_tf.serving.top_k import top_k
from pipelines.checks import Settings
from pipelines.config import flag
from pipelines.errors import InputError, require
from pipelines.interactions import Interactions

REFERENCE = "NumPy: argpartition, sort"
SERVED, BARE = "SavedModel serving_default", "TF: matmul, our top_k"
NUM_USERS = 256
PROBED = (32, 128, 512)
"""Cells that an indexed model looks into."""
SEEN = 100
"""Items that each user has seen, where these are left out."""
NOBODY = Interactions(np.zeros(1, np.int64), np.zeros(0, np.int32), user_ids=np.zeros(0), item_ids=np.zeros(0))
"""The data of weights that hold a row for each user."""
_LIBRARIES = ("faiss", "hnswlib", "tensorflow_recommenders")
_NUMPY_ROWS = 16
_MOST_CALLS = 1000
_RECALL_USERS = 64
_PARTS_BATCH = 64
"""Users a call where parts are measured: the scores of more do not fit a cache, nor a small memory."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
"""What libraries read their number of threads from, when they are loaded."""

Search = Callable[[np.ndarray], np.ndarray]
"""Items [batch, k] for users [batch], row numbers of the benchmark's model."""


@dataclass(frozen=True)
class RetrievalBenchConfig(Settings):
    """What to measure."""

    weights: str = flag("", "An .npz file with P, Q and w, to take vectors from; empty: a made-up mixture.", path=True)
    num_items: tuple[int, ...] = flag((10_000, 100_000, 1_000_000), "Sizes of the catalogue.", at_least=1)
    batch_sizes: tuple[int, ...] = flag((1, 256), "Users a call, at most 256.", at_least=1, at_most=NUM_USERS)
    retrieve: int = flag(100, "k: items a user.", at_least=1)
    rounds: int = flag(3, "Turns of each system.", at_least=1)
    seconds: float = flag(0.4, "How long a turn is, at least one call.", at_least=0, at_most=86_400)
    threads: int = flag(1, "Threads of each system, but for building.", at_least=1, at_most=1024)
    item_dtype: str = flag("float32", "Type in which the exported model stores its item vectors.", ITEM_DTYPES)
    skip: tuple[str, ...] = flag((), f"Libraries to leave out: any of {', '.join(_LIBRARIES)}.")
    quick: bool = flag(False, "Smoke test: 2,000 and 20,000 items, one short turn.")

    def check(self) -> None:
        for name in ("num_items", "batch_sizes"):
            require(bool(getattr(self, name)), name, "", "must be one or more numbers")
        if min(self.num_items) < self.retrieve + SEEN:
            raise InputError(f"`num_items`={self.num_items} must each be at least `retrieve` + {SEEN}")
        require(set(self.skip) <= set(_LIBRARIES), "skip", self.skip, f"may name {', '.join(_LIBRARIES)}")


@dataclass(frozen=True)
class System:
    """One way to find the best items."""

    name: str
    search: Search
    exact: bool = True
    build_seconds: float = 0.0
    megabytes: float = 0.0
    leaves_out_seen: bool = False
    prepare: Callable[[], None] = lambda: None
    """Sets what the next searches need: indexes that are searched at several settings share one object."""


def mixture(seed: int = 0, num_items: int = 4000, num_users: int = 2000, dim: int = 32) -> Factors:
    """A made-up model: 50 clusters of items and users, and factors whose variance falls off as 1 / (1 + k / 4)."""
    rng = np.random.default_rng(seed)
    spread = (1 + np.arange(dim) / 4) ** -0.5
    centres = rng.normal(size=(50, dim))

    def rows(count: int) -> np.ndarray:
        return ((centres[rng.integers(0, 50, count)] + 0.7 * rng.normal(size=(count, dim))) * spread).astype(np.float32)

    return Factors(rows(num_users), rows(num_items))


def enlarged(model: Factors, num_items: int, seed: int = 0) -> Factors:
    """`NUM_USERS` users of a model, and `num_items` of its items drawn with replacement and blurred.

    The noise has half the standard deviation of each factor, so that copies of an item differ as similar items do.
    """
    rng = np.random.default_rng([seed, num_items])
    users = rng.choice(model.num_users, NUM_USERS, replace=model.num_users < NUM_USERS)
    noise = rng.standard_normal((num_items, model.dim), np.float32) * (0.5 * model.items.std(axis=0))
    return replace(
        model, queries=model.queries[users], items=model.items[rng.integers(0, model.num_items, num_items)] + noise
    )


def recall(found: np.ndarray, exact: np.ndarray) -> float:
    """Share of the exact items [n, k] that were found [n, k], on average over rows."""
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, exact, strict=True)]))


def numpy_top_k(query: np.ndarray, items: np.ndarray, k: int) -> np.ndarray:
    """[batch, k] best items, best first, a few users at a time."""
    found = []
    for start in range(0, len(query), _NUMPY_ROWS):
        scores = query[start : start + _NUMPY_ROWS] @ items.T
        some = np.argpartition(-scores, k - 1, axis=1)[:, :k] if k < len(items) else np.argsort(-scores, axis=1)
        order = np.argsort(-np.take_along_axis(scores, some, axis=1), axis=1)
        found.append(np.take_along_axis(some, order, axis=1))
    return np.concatenate(found)


def numpy_system(model: Factors, k: int) -> System:
    """The reference."""
    query = model.queries
    return System(REFERENCE, lambda users: numpy_top_k(query[users], model.items, k))


def tensorflow_systems(model: Factors, k: int) -> Iterator[System]:
    """A bare graph of product and top-k, with TensorFlow's top-k and with ours."""
    queries, items = tf.constant(model.queries), tf.Variable(model.items, trainable=False)
    for name, best in (("TF: matmul, tf.math.top_k", tf.math.top_k), (BARE, top_k)):

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)], autograph=False)
        def search(users: tf.Tensor, best: Callable = best) -> tf.Tensor:
            return best(tf.matmul(tf.gather(queries, users), items, transpose_b=True), k)[1]

        yield System(name, lambda users, search=search: search(tf.constant(users)).numpy())


def brute_force_system(model: Factors, k: int) -> System:
    """TensorFlow Recommenders' own exact layer."""
    layer = tfrs.layers.factorized_top_k.BruteForce(k=k).index(tf.constant(model.items))
    query = model.queries
    search = tf.function(layer.call, input_signature=[tf.TensorSpec([None, query.shape[1]], tf.float32)])
    return System("TFRS BruteForce", lambda users: search(tf.constant(query[users]))[1].numpy())


def signature_systems(model: Factors, k: int, item_dtype: str = "float32") -> Iterator[System]:
    """Signatures of an export that was saved and loaded: they look ids up and leave out what each user has seen.

    `serving_default` scores all items, `retrieve_approximately` those of some cells.
    """
    rng = np.random.default_rng(0)
    seen = np.concatenate([rng.choice(model.num_items, SEEN, replace=False) for _ in range(model.num_users)])
    interactions = Interactions(
        offsets=np.arange(model.num_users + 1) * SEEN,
        items=seen.astype(np.int32),
        user_ids=np.arange(model.num_users),
        item_ids=np.arange(model.num_items),
    )
    with tempfile.TemporaryDirectory() as folder:
        assets = Path(folder) / "assets"
        assets.mkdir()
        began = time.perf_counter()
        cells = build_cells(model.items)
        built = time.perf_counter() - began
        served = IndexedModel(
            cells,
            model,
            interactions,
            np.ones(model.num_items),
            k=k,
            item_dtype=item_dtype,
            fold_in_strengths=FoldIn(),
            description={},
            assets=assets,
        )
        functions = {name: served.signatures()[name] for name in ("serving_default", APPROXIMATE.name)}
        tf.saved_model.save(served, f"{folder}/model", signatures=functions)
        loaded = tf.saved_model.load(f"{folder}/model")
    del served, functions
    exact, approximate = (loaded.signatures[name] for name in ("serving_default", APPROXIMATE.name))
    # The module has to stay alive as long as its signatures.
    yield System(
        SERVED, lambda users, keep=loaded: exact(user_ids=tf.constant(users))["item_ids"].numpy(), leaves_out_seen=True
    )
    others = {"k": tf.constant([k]), "exclude_seen": tf.constant([True]), "exclude_ids": tf.zeros([1, 0], tf.int64)}
    for probes in PROBED:
        yield System(
            f"SavedModel, {probes} of {len(cells.items)} cells",
            lambda users, keep=loaded, probes=probes: approximate(
                user_ids=tf.constant(users), probes=tf.constant([probes]), **others
            )["item_ids"].numpy(),
            exact=False,
            build_seconds=built,
            megabytes=(cells.items.size * (4 + model.dim * np.dtype(item_dtype).itemsize)) / 1e6,
            leaves_out_seen=True,
        )


def faiss_systems(model: Factors, k: int, threads: int) -> Iterator[System]:
    """FAISS flat (exact), and inverted lists of which some are searched."""
    import faiss

    query, dim = model.queries, model.dim
    flat = faiss.IndexFlatIP(dim)
    flat.add(model.items)
    yield System("FAISS IndexFlatIP", lambda users: flat.search(query[users], k)[1], megabytes=model.items.nbytes / 1e6)

    faiss.omp_set_num_threads(os.cpu_count())
    lists = int(4 * model.num_items**0.5)
    began = time.perf_counter()
    inverted = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, lists, faiss.METRIC_INNER_PRODUCT)
    inverted.cp.min_points_per_centroid, inverted.cp.niter = 1, 10
    inverted.train(model.items[np.random.default_rng(0).permutation(model.num_items)[: 40 * lists]])
    inverted.add(model.items)
    built, size = time.perf_counter() - began, faiss.serialize_index(inverted).nbytes / 1e6
    faiss.omp_set_num_threads(threads)
    for probes in sorted({max(1, lists // 32), max(1, lists // 8)}):
        yield System(
            f"FAISS IVF{lists}, nprobe {probes}",
            lambda users: inverted.search(query[users], k)[1],
            exact=False,
            build_seconds=built,
            megabytes=size,
            prepare=lambda probes=probes: setattr(inverted, "nprobe", probes),
        )


def hnswlib_systems(model: Factors, k: int, threads: int) -> Iterator[System]:
    """hnswlib's graph, searched with lists of candidates of two lengths."""
    import hnswlib

    query = model.queries
    began = time.perf_counter()
    index = hnswlib.Index("ip", model.dim)
    index.init_index(model.num_items, M=16, ef_construction=100, random_seed=0)
    index.add_items(model.items, num_threads=os.cpu_count())
    built, size = time.perf_counter() - began, index.index_file_size() / 1e6
    index.set_num_threads(threads)
    for ef in (2 * k, 5 * k):
        yield System(
            f"hnswlib M 16, ef {ef}",
            lambda users: index.knn_query(query[users], k)[0],
            exact=False,
            build_seconds=built,
            megabytes=size,
            prepare=lambda ef=ef: index.set_ef(ef),
        )


def systems(model: Factors, config: RetrievalBenchConfig) -> list[System]:
    """All that are installed and not left out, NumPy first; says which are not."""
    k, threads = config.retrieve, config.threads
    found = [numpy_system(model, k), *tensorflow_systems(model, k), *signature_systems(model, k, config.item_dtype)]
    for module, build in (
        ("tensorflow_recommenders", lambda: [brute_force_system(model, k)]),
        ("faiss", lambda: faiss_systems(model, k, threads)),
        ("hnswlib", lambda: hnswlib_systems(model, k, threads)),
    ):
        if module in config.skip:
            continue
        if importlib.util.find_spec(module):
            found += build()
        else:
            print(f"({module} is not installed: pip install 'gdns_tf[bench]')")
    return found


def measure(compared: list[System], batch: int, config: RetrievalBenchConfig) -> dict[str, np.ndarray]:
    """[calls, 2] milliseconds passed, and of processor time, in each call of each system, which take turns.

    A turn ends after `config.seconds`, or 1,000 calls. A system that needs ten turns' time for a call has one turn.
    """
    rng = np.random.default_rng(0)
    times: dict[str, list[tuple[float, float]]] = {system.name: [] for system in compared}
    for turn in range(config.rounds + 1):
        for system in compared:
            system.prepare()
            if turn == 0:  # the first call of a size may take many times as long
                system.search(np.arange(batch))
                continue
            if turn > 1 and times[system.name][0][0] > 1e4 * config.seconds:
                continue
            turn_ends = time.perf_counter() + config.seconds
            for _ in range(_MOST_CALLS):
                users = rng.choice(NUM_USERS, batch, replace=False)
                began, worked = time.perf_counter(), time.process_time()
                system.search(users)
                worked, took = time.process_time() - worked, time.perf_counter() - began
                times[system.name].append((1e3 * took, 1e3 * worked))
                if time.perf_counter() > turn_ends:
                    break
    return {name: np.array(values) for name, values in times.items()}


def format_times(times: dict[str, np.ndarray], batch: int) -> str:
    """Latency, processor time, and how much less of it than the reference each system takes."""
    header = f"{'median ms':>10}{'p99 ms':>10}{'CPU ms':>10}{'queries/s a core':>18}{'x NumPy':>9}{'calls':>7}"
    lines = [f"\nbatch {batch:<26}{header}"]
    for name, values in times.items():
        took, worked = np.median(values, axis=0)
        less = np.median(times[REFERENCE][:, 1]) / worked
        lines.append(
            f"{name:32}{took:10.3f}{np.quantile(values[:, 0], 0.99):10.3f}{worked:10.3f}{1e3 * batch / worked:18,.0f}"
            f"{less:9.2f}{len(values):7}"
        )
    return "\n".join(lines)


def format_overhead(times: dict[str, np.ndarray]) -> str:
    """What looking ids up and leaving out what was seen costs, beside a bare product and top-k of this run."""
    served, bare = (np.median(times[name][:, 1]) for name in (SERVED, BARE))
    return f"{SERVED}: {served / bare:.2f} times the processor time of {BARE}"


def parts(model: Factors, k: int, batch: int) -> list[System]:
    """The steps of exact retrieval in TensorFlow one by one, and the ways to do the last."""
    queries, items = tf.constant(model.queries[:batch]), tf.Variable(model.items, trainable=False)
    scores = tf.matmul(queries, items, transpose_b=True)
    steps = {
        "product": lambda: tf.matmul(queries, items, transpose_b=True),
        "tf.math.top_k": lambda: tf.math.top_k(scores, k)[1],
        "tf.math.approx_max_k": lambda: tf.math.approx_max_k(scores, k)[1],
        "our top_k": lambda: top_k(scores, k)[1],
    }
    graphs = {name: tf.function(step, autograph=False) for name, step in steps.items()}
    return [System(name, lambda users, graph=graph: graph().numpy()) for name, graph in graphs.items()]


def format_parts(model: Factors, k: int, batch: int, config: RetrievalBenchConfig) -> str:
    """Processor time of each part, and whether the ways to find the k best agree with `tf.math.top_k`."""
    compared = parts(model, k, batch)
    times = measure(compared, batch, config)
    answers = {system.name: system.search(np.arange(batch)) for system in compared}
    lines = [f"\nparts, batch {batch:<19}{'CPU ms':>10}{'as tf.math.top_k':>18}"]
    for name, values in times.items():
        same = "-" if name == "product" else str(np.array_equal(answers[name], answers["tf.math.top_k"]))
        lines.append(f"{name:32}{np.median(values[:, 1]):10.3f}{same:>18}")
    return "\n".join(lines)


def format_recall(compared: list[System], k: int) -> str:
    """Recall of all systems, and what indexes take to build.

    Of systems that leave out what was seen the recall is against the exact one that does too.
    """
    users = np.arange(_RECALL_USERS)
    exact = {False: compared[0].search(users)}
    lines = [f"\n{'':32}{f'recall@{k}':>11}{'build s':>9}{'index MB':>10}"]
    for system in compared[1:]:
        system.prepare()
        found = system.search(users)
        share = f"{recall(found, exact.setdefault(system.leaves_out_seen, found)):.4f}"
        built = f"{system.build_seconds:.1f}" if system.build_seconds else "-"
        size = f"{system.megabytes:.0f}" if system.megabytes else "-"
        lines.append(f"{system.name:32}{share:>11}{built:>9}{size:>10}")
    return "\n".join(lines)


def bench(config: RetrievalBenchConfig) -> None:
    """Prints the tables of each catalogue size."""
    model = load_weights(config.weights, "gmf").factors(NOBODY) if config.weights else mixture()
    source = config.weights or "a made-up mixture"
    print(f"Vectors after {source}, d = {model.dim}, k = {config.retrieve}; threads: {config.threads}")
    for num_items in config.num_items:
        print(f"\n{num_items:,} items", flush=True)
        large = enlarged(model, num_items)
        compared = systems(large, config)
        print(format_recall(compared, config.retrieve), flush=True)
        for batch in config.batch_sizes:
            times = measure(compared, batch, config)
            print(format_times(times, batch), format_overhead(times), sep="\n", flush=True)
            print(format_parts(large, config.retrieve, min(batch, _PARTS_BATCH), config), flush=True)
        del compared
        gc.collect()


def _start_again_with_threads(threads: int) -> None:
    """Starts this program again where the libraries, loaded by now, may have taken another number of threads."""
    wanted = dict.fromkeys(_THREADS, str(threads))
    if not wanted.items() <= os.environ.items():
        os.execve(
            sys.executable, [sys.executable, "-m", "gdns_tf.benchmarks.retrieval", *sys.argv[1:]], os.environ | wanted
        )


def main(read: Read) -> None:
    config = read(RetrievalBenchConfig)
    if config.quick:
        config = read(RetrievalBenchConfig, RetrievalBenchConfig(num_items=(2_000, 20_000), rounds=1, seconds=0.1))
    _start_again_with_threads(config.threads)
    bench(config)


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [RetrievalBenchConfig])


if __name__ == "__main__":
    run()
