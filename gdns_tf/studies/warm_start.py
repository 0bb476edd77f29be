"""What a warm start is worth: training that begins from a former run's weights, beside training that begins afresh.

    python -m gdns_tf.studies.warm_start --dataset=ml-1m --data_dir=FOLDER --output_dir=RUNS

The data is cut by time: what came first is yesterday's, all of it today's. A run on yesterday's data begins afresh;
then runs on today's begin afresh or from yesterday's, for as many epochs or for fewer, with the same rate or a lower
one, and are evaluated on today's held-out items. With `--nights` there are several cuts, and each night's run begins
from that of the night before. Every seed trains all of them. Printed are NDCG@3 against the fixed negatives, NDCG@20
against all items, the seconds of (the last night's) training, and the difference from the fresh run with all epochs:
paired, by the bootstrap over users and seeds, not corrected for the number of comparisons.

Where the data has no times, its training interactions come in a random order; held-out ones come last. Of data with
times the held-out ones, whose times a split does not keep, count as right after their user's last.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gdns_tf.command import Read, run_command
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.evaluation.significance import paired_bootstrap
from gdns_tf.runs.run import Run
from gdns_tf.runs.train import train
from gdns_tf.training.config import TrainConfig
from pipelines.checks import Settings
from pipelines.config import DataConfig, flag, seed_flag
from pipelines.errors import InputError, require
from pipelines.interactions import Ratings, from_ratings
from pipelines.load import IN_MEMORY, format_statistics, load_dataset
from pipelines.split import Split, leave_one_out

METRICS = {"ndcg@3": "sampled", "ndcg@20": "full"}
"""Metric -> protocol."""
FRESH, WARM = "afresh", "warm"


@dataclass(frozen=True)
class WarmStartStudyConfig(Settings):
    """What to compare."""

    first_share: float = flag(
        0.95, "Share of the interactions, those that came first, that the first run knows.", above=0, below=1
    )
    nights: int = flag(1, "Runs from there to all of the data, each of which begins from the one before.", at_least=1)
    seeds: tuple[int, ...] = seed_flag((0, 1, 2), "A training of everything for each.")
    epoch_shares: tuple[float, ...] = flag(
        (1.0, 0.34), "Shares of max_epochs, for each of which all are trained.", above=0, at_most=1
    )
    rate_shares: tuple[float, ...] = flag((1.0,), "Shares of learning_rate, of warm runs.", above=0, at_most=1)

    def check(self) -> None:
        for name in ("seeds", "epoch_shares", "rate_shares"):
            require(bool(getattr(self, name)), name, "", "must list one or more")


@dataclass(frozen=True)
class Arm:
    """A way to train tonight."""

    start: str
    """FRESH or WARM."""
    epochs: int
    rate: float

    @property
    def label(self) -> str:
        return f"{self.start}, {self.epochs} epochs, rate {self.rate:g}"

    @property
    def folder(self) -> str:
        return f"{self.start}-{self.epochs}-{self.rate:g}"


def arms(config: TrainConfig, study: WarmStartStudyConfig) -> list[Arm]:
    """What is compared; the first, a fresh run with all epochs, is what the others are held against."""
    epochs = dict.fromkeys([config.max_epochs, *(max(1, round(s * config.max_epochs)) for s in study.epoch_shares)])
    fresh = [Arm(FRESH, number, config.learning_rate) for number in epochs]
    return fresh + [Arm(WARM, number, share * config.learning_rate) for number in epochs for share in study.rate_shares]


def in_order(split: Split, seed: int = 0) -> Ratings:
    """All interactions of a split with the times at which they came, see above."""
    whole, train, last = split.all_interactions(), split.train, split.train.offsets[1:]
    if train.timestamps is None:
        times = np.random.default_rng([seed, 4]).random(train.num_interactions)
        valid, test = np.full((2, train.num_users), [[1.0], [2.0]])
    else:
        times = train.timestamps
        valid = np.nextafter(np.maximum.reduceat(times, train.offsets[:-1]), np.inf)
        test = np.nextafter(valid, np.inf)
    times = np.insert(times, np.repeat(last, 2), np.stack([valid, test], axis=1).reshape(-1))
    return Ratings(whole.user_ids[whole.users], whole.item_ids[whole.items], timestamps=times, source=split.name)


def cut(ratings: Ratings, share: float, min_user_items: int, seed: int) -> Split:
    """The data of those interactions that came first, split by time."""
    there = ratings.timestamps <= np.quantile(ratings.timestamps, share, method="lower")
    parts = {name: getattr(ratings, name)[there] for name in ("users", "items", "timestamps")}
    interactions = from_ratings(replace(ratings, **parts), min_user_items=min_user_items)
    return leave_one_out(ratings.source, interactions, seed)


def last_night(nights: Sequence[Split], arm: Arm, config: TrainConfig, first: Run) -> Run:
    """Trains night after night, the first of them done, and returns the last run."""
    run, folder = first, Path(config.output_dir)
    config = replace(config, max_epochs=arm.epochs, learning_rate=arm.rate)
    for number, split in enumerate(nights[1:], start=1):
        if arm.start == WARM or number == len(nights) - 1:  # runs that begin afresh need no night before
            former = str(run.folder.path) if arm.start == WARM else ""
            of_night = replace(config, output_dir=str(folder / f"{arm.folder}-{number}"), warm_start=former)
            run = train(split, DataConfig(dataset=IN_MEMORY), of_night, progress=False)
    return run


def per_user(run: Run) -> dict[str, np.ndarray]:
    """ "ndcg@3 valid" and so on -> [num_users]."""
    best = run.best
    return {
        f"{metric} {held_out}": evaluate(best, run.split, held_out, protocol, ks=(k,)).per_user()[metric]
        for metric, protocol in METRICS.items()
        for k in [int(metric.partition("@")[2])]
        for held_out in ("valid", "test")
    }


def study(data: DataConfig, config: TrainConfig, options: WarmStartStudyConfig, log: Callable = print) -> None:
    """Trains what is not trained yet, and prints the table."""
    today = load_dataset(data)
    ratings = in_order(today)
    shares = np.linspace(options.first_share, 1, options.nights + 1)[:-1]
    nights = [*(cut(ratings, share, data.min_user_items, data.split_seed) for share in shares), today]
    for night, split in enumerate(nights):
        log(f"Night {night}\n{format_statistics(split)}", flush=True)
    compared = arms(config, options)
    found: dict[Arm, list[dict[str, np.ndarray]]] = {arm: [] for arm in compared}
    seconds: dict[Arm, list[float]] = {arm: [] for arm in compared}
    for seed in options.seeds:
        seeded = replace(config, seed=seed, output_dir=str(Path(config.output_dir, f"seed{seed}")), tensorboard=False)
        first = replace(seeded, output_dir=str(Path(seeded.output_dir, "first")))
        first = train(nights[0], DataConfig(dataset=IN_MEMORY), first, progress=False)
        for arm in compared:
            run = last_night(nights, arm, seeded, first)
            found[arm].append(per_user(run))
            seconds[arm].append(run.seconds)
    for metric in found[compared[0]][0]:
        log(format_table(metric, {arm: np.stack([of[metric] for of in found[arm]]) for arm in compared}, seconds))


def format_table(metric: str, values: dict[Arm, np.ndarray], seconds: dict[Arm, list[float]]) -> str:
    """Means and deviations over seeds, and the paired difference from the first arm.

    Args:
      metric: its name.
      values: [num_seeds, num_users] by arm.
      seconds: of each seed's training, by arm.
    """
    reference, *others = values
    tests = dict(zip(others, paired_bootstrap(np.stack([values[a] - values[reference] for a in others])), strict=True))
    lines = [f"\n{metric:34}{'mean':>8}{'+-':>8}{'seconds':>9}{'- ' + reference.label:>34}{'95% interval':>20}{'p':>8}"]
    for arm, of in values.items():
        means = of.mean(axis=1)
        deviation = f"{means.std(ddof=1):8.4f}" if len(means) > 1 else f"{'':8}"
        line = f"{arm.label:34}{means.mean():8.4f}{deviation}{np.median(seconds[arm]):9.1f}"
        if arm in tests:
            test = tests[arm]
            line += f"{test.difference:+34.4f}  [{test.low:+.4f}, {test.high:+.4f}]{test.p_value:8.4f}"
        lines.append(line)
    return "\n".join(lines)


def main(read: Read) -> None:
    config = read(TrainConfig)
    if not config.output_dir:
        raise InputError("`output_dir` is not set", remedy="Name a folder for the runs.")
    require(not config.warm_start, "warm_start", config.warm_start, "is what this study sets itself")
    study(read(DataConfig), config, read(WarmStartStudyConfig))


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [WarmStartStudyConfig, TrainConfig, DataConfig])


if __name__ == "__main__":
    run()
