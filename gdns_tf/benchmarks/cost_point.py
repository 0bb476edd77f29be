"""One point of the cost curves: seconds an epoch and the peak of memory, measured in a process of its own."""

import math
import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from pipelines.errors import InputError
from pipelines.interactions import Interactions

ITEMS_A_USER = 20
GAIN_SLOTS = 256
"""Of the gain table, at every point: a dense one would not fit at the largest, and one that takes what memory there is
would make the curve of memory that of the machine."""
WARM_UP = 6
"""Steps before the clock starts: the first are traced, and a few batches lie ready."""
ROUNDS = 3
"""Parts of a measurement; their median counts."""


@dataclass(frozen=True)
class Sizes:
    """What the cost of an epoch depends on."""

    num_users: int
    num_items: int
    group_size: int
    """N."""
    num_candidates: int
    """M."""
    dim: int
    """d."""


@dataclass(frozen=True)
class Cost:
    """What was measured at a point."""

    seconds: float
    """An epoch, in steady state."""
    draws: float
    """Seconds in which the pipeline alone draws the batches of an epoch. It does so while the model is at work."""
    share: float
    """Of an epoch that was trained while the clock ran; where it is below 1, the rest is extrapolated."""
    memory: float
    """Bytes: the most that the process took at a time, with Python, TensorFlow and the data."""


def measure_apart(sizes: Sizes, seconds: float) -> Cost:
    """Measures a point in a process of its own, whose peak of memory is that of this point alone.

    Args:
      sizes: the point.
      seconds: about how long the training is timed.

    Raises:
      InputError: it does not fit into memory.
    """
    context = multiprocessing.get_context("spawn")  # a fork would begin with what this process holds
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            found = pool.submit(_measured, sizes, seconds).result()
        except BrokenProcessPool:
            found = "the process was ended by the system, as it does where memory runs out"
    if isinstance(found, str):
        raise InputError(f"{asdict(sizes)}: {found}")
    return found


def _measured(sizes: Sizes, seconds: float) -> Cost | str:
    try:
        return measure(sizes, seconds)
    except InputError as error:
        return str(error)  # which travels between processes


def measure(sizes: Sizes, seconds: float) -> Cost:
    """Measures a point in this process; see `measure_apart`."""
    train = interactions(sizes.num_users, sizes.num_items)
    config = TrainConfig.from_settings(
        sampler="gdns",
        scorer="gmf",
        group_size=sizes.group_size,
        num_candidates=sizes.num_candidates,
        dim=sizes.dim,
        gain_slots=GAIN_SLOTS if sizes.num_items > GAIN_SLOTS else 0,
    )
    steps = math.ceil(sizes.num_users / min(config.batch_size, sizes.num_users))
    trainer, dataset = build_trainer(train, config), build_batches(train, config)
    batches, drawn = iter(dataset), iter(dataset)

    @tf.function
    def training(count: tf.Tensor) -> None:
        for _ in tf.range(count):
            trainer.train_step(next(batches))

    @tf.function
    def drawing(count: tf.Tensor) -> tf.Tensor:
        total = tf.constant(0)
        for _ in tf.range(count):
            total += next(drawn)["candidates"][0, 0]
        return total

    of_step, trained = _seconds_a_step(training, steps, seconds)
    # With the training at rest the draws have both cores to themselves.
    of_draw, _ = _seconds_a_step(drawing, steps, seconds / 3)
    return Cost(of_step * steps, of_draw * steps, min(trained / steps, 1.0), float(_peak_memory()))


def _seconds_a_step(run: tf.types.experimental.PolymorphicFunction, steps: int, seconds: float) -> tuple[float, int]:
    """The median of rounds of steps, of whole epochs where they are short; and how many steps there were."""
    for _ in range(2):  # the second time without tracing
        began = time.perf_counter()
        run(tf.constant(WARM_UP // 2))
        once = (time.perf_counter() - began) / (WARM_UP // 2)
    count = max(int(seconds / ROUNDS / max(once, 1e-9)), WARM_UP)
    if count >= steps:
        count -= count % steps
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        run(tf.constant(count))
        rounds.append((time.perf_counter() - began) / count)
    return float(np.median(rounds)), ROUNDS * count


def interactions(num_users: int, num_items: int, seed: int = 0) -> Interactions:
    """Users with ITEMS_A_USER random items each, the items with lower numbers being more popular.

    What an epoch costs depends on how many users, items and pairs there are, and hardly on which.
    """
    rng = np.random.default_rng(seed)
    count = min(ITEMS_A_USER, num_items // 2)
    # Even in steps of the catalogue, so that no item comes twice, and denser at its head.
    share = (np.arange(count) + rng.random((num_users, count), np.float32)) / count
    items = (share**2 * (num_items - count)).astype(np.int32) + np.arange(count, dtype=np.int32)
    return Interactions(
        offsets=np.arange(num_users + 1, dtype=np.int64) * count,
        items=items.ravel(),
        user_ids=np.arange(num_users),
        item_ids=np.arange(num_items),
    )


def _peak_memory() -> int:
    """Bytes: the largest resident set of this process since it was started by `exec`."""
    status = Path("/proc/self/status")
    if status.exists():  # what `getrusage` tells on Linux is at least what the parent process had
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
