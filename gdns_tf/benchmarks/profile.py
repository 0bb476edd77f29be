"""Where the time of a step goes: milliseconds of each kind of TensorFlow operation, and how busy the cores are.

`python -m gdns_tf.benchmarks.profile --dataset=srns --data_dir=...` trains by the recipe of
`gdns_tf.benchmarks.training` with TensorFlow's profiler on, and prints a table of the operations of the step and one of
those of the pipeline's draws.
"""

import os
import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from gdns_tf.benchmarks.training import RECIPE
from gdns_tf.command import Read, run_command
from gdns_tf.markdown import table
from gdns_tf.samplers.registry import SAMPLERS
from gdns_tf.training.build import build_batches, build_trainer
from pipelines.batches import steps_per_epoch
from pipelines.checks import Settings
from pipelines.config import DataConfig, flag
from pipelines.interactions import Interactions
from pipelines.load import load_dataset

STEP, DRAWS = "step", "draws"
_OPERATION = re.compile(r"^[^:]+:(\w+)$")
"""An event of the profiler that is an operation: its name in the graph, and its kind."""


@dataclass(frozen=True)
class ProfileConfig(Settings):
    """What to profile."""

    sampler: str = flag("gdns", "How negatives are chosen.", tuple(SAMPLERS))
    epochs: int = flag(10, "Epochs under the profiler.", at_least=1)
    rows: int = flag(25, "Operations to print of each part.", at_least=1)


@dataclass(frozen=True)
class Profile:
    """What a step took."""

    wall: float
    """Milliseconds a step, without the profiler."""
    cpu: float
    """Milliseconds of all cores a step, without the profiler."""
    operations: Mapping[str, Mapping[str, tuple[float, float]]]
    """STEP or DRAWS -> kind of operation -> (milliseconds, calls) a step, under the profiler, which adds to each."""


def main(read: Read) -> None:
    config, data = read(ProfileConfig), read(DataConfig)
    profile = measure(load_dataset(data).train, config)
    cores = os.cpu_count()
    print(f"A step of {config.sampler}: {profile.wall:.2f} ms, of {cores} cores {profile.cpu:.2f} ms: each is busy for")
    print(f"{profile.cpu / profile.wall / cores:.0%} of the time. What follows is measured under the profiler.")
    for part, operations in profile.operations.items():
        total = sum(ms for ms, _ in operations.values())
        print(f"\nOperations of the {part}, {total:.2f} ms a step\n")
        most = sorted(operations.items(), key=lambda item: -item[1][0])[: config.rows]
        rows = [[kind, f"{ms:.3f}", f"{ms / total:.1%}", f"{calls:.1f}"] for kind, (ms, calls) in most]
        print(table(["operation", "ms a step", "share", "calls a step"], rows))


def measure(train: Interactions, config: ProfileConfig) -> Profile:
    """Profiles steps of training on interactions."""
    recipe = RECIPE.with_settings(sampler=config.sampler)
    steps = config.epochs * steps_per_epoch(train.num_users, recipe.batch_size)
    trainer, batches = build_trainer(train, recipe), iter(build_batches(train, recipe))
    train_epoch = trainer.make_train_function()

    def epochs(count: int) -> None:
        for _ in range(count):
            float(train_epoch(batches)["loss"])

    epochs(5)  # compiles, and fills the prefetch
    wall, cpu = time.perf_counter(), time.process_time()
    epochs(config.epochs)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            epochs(config.epochs)
        space = xplane_pb2.XSpace.FromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    return Profile(wall / steps * 1e3, cpu / steps * 1e3, operations_of(space, steps))


def operations_of(space: xplane_pb2.XSpace, steps: int) -> dict[str, dict[str, tuple[float, float]]]:
    """The operations of a trace on the CPU, as `Profile.operations` has them."""
    picoseconds, calls = defaultdict(Counter), defaultdict(Counter)
    for plane in space.planes:
        if plane.name != "/host:CPU":
            continue
        for line in plane.lines:
            part = DRAWS if line.name.startswith("tf_data") else STEP
            events = ((plane.event_metadata[e.metadata_id].name, e.offset_ps, e.duration_ps) for e in line.events)
            for kind, duration in _outermost(events):
                picoseconds[part][kind] += duration
                calls[part][kind] += 1
    return {
        part: {kind: (picoseconds[part][kind] / 1e9 / steps, calls[part][kind] / steps) for kind in picoseconds[part]}
        for part in (STEP, DRAWS)
    }


def _outermost(events: Iterable[tuple[str, int, int]]) -> Iterable[tuple[str, int]]:
    """Kind and duration of the operations of one thread, (name, start, duration), that lie within no other."""
    found = ((match[1], start, duration) for name, start, duration in events if (match := _OPERATION.match(name)))
    ends = 0
    for kind, start, duration in sorted(found, key=lambda event: (event[1], -event[2])):
        if start >= ends:
            yield kind, duration
            ends = start + duration


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [ProfileConfig, DataConfig])


if __name__ == "__main__":
    run()
