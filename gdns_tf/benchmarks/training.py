"""Speed of training and evaluation, side by side with a reference in one run.

`python -m gdns_tf.benchmarks.training --dataset=srns --data_dir=...` compiles the single-threaded C++ references
(`--reference` of pairs, `--encoder_reference` of the softmax over all items), trains the same data by the same settings
in turn with them, and prints the ratios.
"""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from gdns_tf.command import Read, run_command
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from pipelines.checks import Settings
from pipelines.config import DataConfig, flag
from pipelines.load import format_statistics, load_dataset
from pipelines.split import Split

COMPILE = ("g++", "-O3", "-march=native", "-ffast-math")
RECIPE = TrainConfig(loss="squared_hinge", l2=0.03, dropout=0.3, user_weight_power=0.5, average_decay=0.0)


@dataclass(frozen=True)
class BenchConfig(Settings):
    """What to measure."""

    reference: str = flag(
        "../shared/reference/gdns_reference.cpp", "Source of the C++ reference trainer; none: skipped.", path=True
    )
    encoder_reference: str = flag(
        "../shared/reference/encoder_reference.cpp", "Source of that of the history encoder; none: skipped.", path=True
    )
    rounds: int = flag(3, "Times that each is measured, in turn.", at_least=1)
    epochs: int = flag(40, "Epochs a measurement.", at_least=1)


def main(read: Read) -> None:
    config, data = read(BenchConfig), read(DataConfig)
    dataset = load_dataset(data)
    print(format_statistics(dataset), "\n", flush=True)
    bench_training(dataset, config)
    bench_likelihoods(dataset, config)
    bench_evaluation(dataset)
    bench_table_writes(dataset)


def bench_training(dataset: Split, config: BenchConfig) -> None:
    """Prints milliseconds an epoch of ours and of the reference, and their ratio, for both samplers."""
    sizes = f"N = {RECIPE.group_size}, M = {RECIPE.num_candidates}, B = {RECIPE.batch_size}"
    print(f"Training by pairs, ms an epoch ({sizes})")
    _print_header()
    with tempfile.TemporaryDirectory() as folder:
        program = _compiled(config.reference, dataset, Path(folder))
        for sampler in ("gdns", "uniform"):
            ours = _our_epoch(dataset, RECIPE.with_settings(sampler=sampler), config.epochs)
            _print_in_turn(sampler, ours, program and _reference_epoch(program, {"sampler": sampler}, config), config)


ENCODER = {"user": "tied", "user_power": 1, "loss": "multi", "batch": 128, "input_power": 0.7, "dropout": 0}
"""Flags of the encoder's reference that make it the recipe of `objective`=multinomial, but for those below."""


def bench_likelihoods(dataset: Split, config: BenchConfig) -> None:
    """The same of the softmax over all items and over sampled ones, by the recipe at several sizes.

    The reference has no warm-up and averages once an epoch too; its evaluation is not counted.
    """
    print("\nTraining by the likelihood, ms an epoch (history encoder, B = 128)")
    _print_header()
    with tempfile.TemporaryDirectory() as folder:
        program = _compiled(config.encoder_reference, dataset, Path(folder))
        shared = {"batch_size": 128, "history_dropout": 0.3}
        for dim in (32, 64, 128):
            options = ENCODER | {"sampler": "full", "dim": dim, "lr": 0.02, "l2p": 0.02, "input_dropout": 0.3}
            recipe = TrainConfig.from_settings(dim=dim, **shared)
            theirs = program and _reference_epoch(program, options, config)
            _print_in_turn(f"all, d={dim}", _our_epoch(dataset, recipe, config.epochs), theirs, config)
        for count in (32, 128):
            options = ENCODER | {"sampler": "uniform", "negatives": count, "positives": 0, "kappa": -1, "dim": 32}
            options |= {"lr": 0.02, "l2p": 0.02, "input_dropout": 0.3}
            recipe = TrainConfig.from_settings(objective="sampled_softmax", group_size=count, dim=32, **shared)
            theirs = program and _reference_epoch(program, options, config)
            _print_in_turn(f"N={count}", _our_epoch(dataset, recipe, config.epochs), theirs, config)


def _print_header() -> None:
    print(f"{'':10}{'ours':>28}{'C++, one thread':>28}{'ratio of medians':>18}")


def _print_in_turn(
    name: str, ours_once: Callable[[], float], theirs_once: Callable[[], float] | None, config: BenchConfig
) -> None:
    ours, theirs = [], []
    for _ in range(config.rounds):
        ours.append(ours_once())
        if theirs_once:
            theirs.append(theirs_once())
    ratio = f"{np.median(ours) / np.median(theirs):.2f}" if theirs else "-"
    print(f"{name:10}{_spread(ours):>28}{_spread(theirs):>28}{ratio:>18}", flush=True)


def _our_epoch(dataset: Split, config: TrainConfig, epochs: int) -> Callable[[], float]:
    trainer = build_trainer(dataset.train, config)
    batches = iter(build_batches(dataset.train, config))
    train_epoch = trainer.make_train_function()
    for _ in range(5):  # compiles, and fills the prefetch
        train_epoch(batches)

    def measure() -> float:
        began = time.perf_counter()
        for _ in range(epochs):
            float(train_epoch(batches)["loss"])
        return (time.perf_counter() - began) / epochs * 1e3

    return measure


def _compiled(source: str, dataset: Split, folder: Path) -> list[str] | None:
    """The command of a reference with its data, both in `folder`; None where it cannot be made."""
    if not Path(source).is_file() or not shutil.which(COMPILE[0]):
        missing = f"no {COMPILE[0]}" if Path(source).is_file() else f"{source} is not there"
        print(f"(no reference: {missing})")
        return None
    if not dataset.leaves_one_out:
        print("(no reference: it takes one validation and one test item of each user)")
        return None
    program, data = folder / "reference", folder / "data.bin"
    subprocess.run([*COMPILE, "-o", str(program), source], check=True)
    _write_for_reference(dataset, data)
    return [str(program), "--data", str(data)]


def _reference_epoch(program: list[str], options: Mapping[str, object], config: BenchConfig) -> Callable[[], float]:
    flags = {**options, "epochs": config.epochs, "eval_every": config.epochs}
    command = [*program, *(str(part) for name, value in flags.items() for part in (f"--{name}", value))]

    def measure() -> float:
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        if total := re.search(r"\(total ([\d.]+)s\)", out):
            return float(total[1]) / config.epochs * 1e3
        return float(out.split()[-2]) * 1e3  # "... test a b c, 0.0378 s/epoch"

    return measure


def _write_for_reference(dataset: Split, path: Path) -> None:
    train = dataset.train
    pairs = np.stack([train.users, train.items], axis=1)
    held_out = dataset.valid.items, dataset.test.items, dataset.test.negatives
    parts = ([train.num_users, train.num_items, len(pairs)], pairs, *held_out)
    path.write_bytes(b"".join(np.ascontiguousarray(part, np.int32).tobytes() for part in parts))


def bench_evaluation(dataset: Split) -> None:
    """Prints milliseconds for evaluating all users by both protocols."""
    trainer = build_trainer(dataset.train, RECIPE)
    factors = trainer.scorer.factors(trainer.scorer.arrays(), dataset.train)
    print("\nEvaluation of all users, ms")
    for protocol in ("sampled", "full"):
        times = _times(
            lambda protocol=protocol: evaluate(factors, dataset, split="test", protocol=protocol, ks=(1, 3, 10))
        )
        print(f"{protocol:10}{_spread(times):>28}")


def bench_table_writes(dataset: Split) -> None:
    """Prints milliseconds for writing one batch's H or G into a table by each of TensorFlow's ways."""
    users, items = dataset.train.num_users, dataset.train.num_items
    batch, count = min(RECIPE.batch_size, users), min(RECIPE.group_size, items)
    rng = np.random.default_rng(0)
    rows = tf.constant(rng.choice(users, batch, replace=False), tf.int64)[:, None]
    columns = tf.constant(np.stack([rng.choice(items, count, replace=False) for _ in range(batch)]), tf.int64)
    values = tf.constant(rng.random((batch, count)), tf.float32)
    cells = rows * items + columns
    table = tf.Variable(tf.ones([users * items]))

    def assign() -> None:
        table.assign(tf.tensor_scatter_nd_update(table, cells[..., None], values))

    def scatter_nd() -> None:
        table.scatter_nd_update(cells[..., None], values)

    def scatter() -> None:
        table.scatter_update(tf.IndexedSlices(values, cells))

    print(f"\nWriting {batch * count:,} cells of a table of {4 * users * items / 1e6:.0f} MB, ms")
    for name, write, compiled in (
        ("assign(tensor_scatter_nd_update)", assign, False),
        ("assign(tensor_scatter_nd_update), XLA", assign, True),
        ("scatter_nd_update", scatter_nd, False),
        ("scatter_update of flat rows (used)", scatter, False),
    ):
        print(f"{name:40}{_spread(_times(tf.function(write, jit_compile=compiled))):>28}")


def _times(call: Callable[[], object], count: int = 10) -> list[float]:
    call()
    times = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1e3)
    return times


def _spread(times: list[float]) -> str:
    return f"{np.median(times):.2f} ({min(times):.2f} to {max(times):.2f})" if times else "-"


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [BenchConfig, DataConfig])


if __name__ == "__main__":
    run()
