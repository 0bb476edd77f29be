"""How well users are served whom the model was not trained on: fold-in by history against trained rows.

    python -m gdns_tf.studies.fold_in --recipe=ml1m --output_dir=RUNS

trains with all users (in RUNS/all), then without some of them (in RUNS/without_0, ...), and prints NDCG@3 (sampled
protocol) and NDCG@20 (full) on the test items, of users served by `gdns_tf.serving.fold_in` from their training items:
by the model's own encoder where it has one (`--scorer=history`), else by fold-in.

- a: all users, who took part in training, so that the item factors have seen them;
- b: only the users that were hidden from training altogether, as new users are.

What is hidden is missed in training too. So with two groups or more, hidden users are also held against themselves as
users of another of these runs, trained on as many others: with `--hidden_share=0.5 --hidden_groups=2` everybody is
trained on once and hidden once.

The strengths of fold-in, if any, are chosen on validation items of the model with all users. A run that is there is
used again, one that was broken off goes on. (The runs without some users evaluate on their own users only;
`gdns_tf.evaluate` refuses them for the whole data, whose fingerprint is another.)
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gdns_tf.command import Read, run_command
from gdns_tf.evaluation import metrics
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.evaluation.significance import paired_test
from gdns_tf.flagfiles import FOR_TRAINING
from gdns_tf.models.factors import Factors, HistorySum
from gdns_tf.runs.train import train
from gdns_tf.serving.fold_in import FoldIn, encode, fold_in, penalty
from gdns_tf.training.config import TrainConfig
from pipelines.checks import Settings
from pipelines.config import DataConfig, flag, seed_flag
from pipelines.errors import InputError
from pipelines.infer import infer
from pipelines.interactions import Interactions
from pipelines.load import format_statistics, load_dataset
from pipelines.split import Split

METRICS = {"ndcg@3": "sampled", "ndcg@20": "full"}
"""Metric -> protocol."""
METRIC = "ndcg@3"
"""What the strengths are chosen by."""
ALPHAS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
L2S = (3, 10, 30, 100, 300, 1000)
AS_MANY = "trained, as many others"
_BATCH_CELLS = 2**16
"""Items of histories, padding counted in, that are folded in at a time."""


@dataclass(frozen=True)
class FoldInBenchConfig(Settings):
    """What to measure."""

    hidden_share: float = flag(0.1, "Share of the users hidden from a training run.", above=0, below=1)
    hidden_groups: int = flag(
        1, "How many such groups of users, none in two, are hidden in turn: a training run each.", at_least=1
    )
    hidden_seed: int = seed_flag(0, "Seed of who is hidden.")
    history_lengths: tuple[int, ...] = flag(
        (5, 10, 20),
        "Also serve by the first so many training items of each user, in the order of the data.",
        at_least=1,
    )

    def check(self) -> None:
        if self.hidden_groups > 1 / self.hidden_share:
            raise InputError(
                f"`hidden_share`={self.hidden_share} and `hidden_groups`={self.hidden_groups} cannot work together",
                remedy="The share must lie between 0 and 1, and so must share times groups, 1 included.",
            )


def hidden_groups(num_users: int, config: FoldInBenchConfig) -> list[np.ndarray]:
    """The users of each group, ascending; no user is in two."""
    order = np.random.default_rng([config.hidden_seed, 2]).permutation(num_users)
    size = max(1, int(num_users * config.hidden_share))
    return [np.sort(order[start : start + size]) for start in range(0, config.hidden_groups * size, size)]


def of_users(dataset: Split, users: np.ndarray) -> Split:
    """The data of some users, in the given order; the catalogue stays whole."""
    valid, test = (part.select(users, dataset.train.num_users) for part in (dataset.valid, dataset.test))
    return replace(dataset, train=dataset.train.select(users), valid=valid, test=test, false_negatives=None)


def first_items(train: Interactions, length: int) -> Interactions:
    """The first `length` items of each user; all of those who have fewer."""
    place = np.arange(train.num_interactions) - np.repeat(train.offsets[:-1], train.counts)
    return train.keep(place < length)


def folded_in(items: np.ndarray, histories: Interactions, strengths: FoldIn) -> np.ndarray:
    """[num_users, d] float32: each user's query, by the function that `retrieve_by_history` serves with."""
    against = penalty(items, strengths)
    return _queries(lambda padded: fold_in(items, against, padded), histories, items.shape[1])


def encoded(encoder: HistorySum, histories: Interactions) -> np.ndarray:
    """[num_users, d] float32: each user's query by the model's encoder, as `retrieve_by_history` serves it."""
    vectors = encoder.vectors
    return _queries(lambda padded: encode(vectors, encoder.power, padded), histories, vectors.shape[1])


def _queries(query: Callable[[np.ndarray], np.ndarray], histories: Interactions, dim: int) -> np.ndarray:
    queries = np.empty((histories.num_users, dim), np.float32)
    for users in _of_like_length(histories.counts):
        padded = np.full((len(users), max(1, histories.counts[users].max())), -1, np.int32)
        for row, user in enumerate(users):
            padded[row, : histories.counts[user]] = histories.of(user)
        queries[users] = query(padded)
    return queries


def _of_like_length(counts: np.ndarray) -> Iterator[np.ndarray]:
    """Users in batches, the shortest histories first, so that little of a batch is padding."""
    order = np.argsort(counts, kind="stable")
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end + 1 - start) * counts[order[end]] <= _BATCH_CELLS:
            end += 1
        yield order[start:end]
        start = end


def popularity(train: Interactions, num_users: int) -> Factors:
    """A model that ranks items by how many users have them, the same for every user."""
    return Factors(np.ones((num_users, 1)), train.item_counts[:, None])


Serve = Callable[[Interactions], Factors]
"""From the users' histories to what they are served by."""


def by_fold_in(items: np.ndarray, strengths: FoldIn) -> Serve:
    return lambda histories: Factors(folded_in(items, histories, strengths), items)


def by_encoder(model: Factors) -> Serve:
    return lambda histories: Factors(encoded(model.encoder, histories), model.items)


def ndcg(factors: Factors, dataset: Split, split: str, metric: str = METRIC) -> np.ndarray:
    """[num_users] NDCG of each user's held-out items by the metric's protocol; NaN of users without any."""
    report = evaluate(factors, dataset, split, METRICS[metric])
    values = np.full(dataset.train.num_users, np.nan)
    values[report.users] = metrics.of_users(metric, report.ranks)
    return values


def choose_strengths(items: np.ndarray, dataset: Split, lengths: Sequence[int]) -> FoldIn:
    """The strengths with the best validation NDCG@3, averaged over whole histories and each of the short lengths.

    New users have short histories, so a choice by whole ones alone would be for the wrong users. Prints the table.
    """
    histories = [dataset.train, *(first_items(dataset.train, length) for length in lengths)]
    names = ["whole", *map(str, lengths)]
    print(f"\nValidation NDCG@3 by strengths of fold-in and by items of the history\n{'alpha':>8}{'l2':>6}", end="")
    print("".join(f"{name:>8}" for name in names) + f"{'mean':>8}")
    best, best_mean = None, -1.0
    for alpha, l2 in itertools.product(ALPHAS, L2S):
        strengths = FoldIn(alpha, l2)
        serve = by_fold_in(items, strengths)
        values = [np.nanmean(ndcg(serve(history), dataset, "valid")) for history in histories]
        mean = float(np.mean(values))
        print(f"{alpha:8g}{l2:6g}" + "".join(f"{value:8.4f}" for value in [*values, mean]), flush=True)
        if mean > best_mean:
            best, best_mean = strengths, mean
    print(f"Chosen: alpha = {best.alpha:g}, l2 = {best.l2:g}")
    return best


def trained(dataset: Split, data: DataConfig, config: TrainConfig) -> Factors:
    """The best weights of the run in `config.output_dir`, which is trained first as far as it is not yet."""
    return train(dataset, data, config).best


def compare(serve: Serve, dataset: Split, lengths: Sequence[int], baselines: dict[str, dict]) -> dict[str, dict]:
    """Test NDCG of each user, by metric: of the baselines, and by whole and by short histories."""
    found = {metric: dict(values) for metric, values in baselines.items()}
    for name, histories in [
        ("whole history", dataset.train),
        *((f"first {length} items", first_items(dataset.train, length)) for length in lengths),
    ]:
        served = serve(histories)
        for metric, values in found.items():
            values[name] = ndcg(served, dataset, "test", metric)
    return found


def format_comparison(title: str, found: dict[str, np.ndarray], reference: str, metric: str = METRIC) -> str:
    """Means, and the paired difference of each from the reference with its interval and p-value."""
    lines = [f"\n{title}", f"{'':28}{metric.upper():>8}{'- ' + reference:>26}  {'95% interval':>18}{'p':>9}"]
    evaluated = ~np.isnan(found[reference])
    for name, values in found.items():
        values = values[evaluated]
        line = f"{name:28}{values.mean():8.4f}"
        if name != reference:
            test = paired_test(values, found[reference][evaluated])
            line += f"{test.difference:+26.4f}  [{test.low:+7.4f}, {test.high:+7.4f}]{test.p_value:9.4f}"
        lines.append(line)
    return "\n".join(lines)


def bench(data: DataConfig, config: TrainConfig, bench_config: FoldInBenchConfig, log: Callable = print) -> None:
    """Trains, folds in and prints the tables."""
    dataset = load_dataset(data)
    log(format_statistics(dataset))
    lengths, folder = bench_config.history_lengths, Path(config.output_dir)
    everyone = trained(dataset, data, replace(config, output_dir=str(folder / "all")))
    if everyone.encoder is None:
        strengths = choose_strengths(everyone.items, dataset, lengths)
    trained_rows = {metric: ndcg(everyone, dataset, "test", metric) for metric in METRICS}
    users = dataset.train.num_users

    def served(model: Factors) -> Serve:
        return by_fold_in(model.items, strengths) if model.encoder is None else by_encoder(model)

    def baselines(part: Split, rows: np.ndarray, train: Interactions) -> dict[str, dict[str, np.ndarray]]:
        others = popularity(train, len(rows))
        return {
            metric: {"trained row": trained_rows[metric][rows], "popularity": ndcg(others, part, "test", metric)}
            for metric in METRICS
        }

    found = compare(served(everyone), dataset, lengths, baselines(dataset, np.arange(users), dataset.train))
    for metric, values in found.items():
        title = f"a. All {users:,} users, whom the item factors have seen; {METRICS[metric]} protocol"
        log(format_comparison(title, values, "trained row", metric))

    groups = hidden_groups(users, bench_config)
    everybody, parts, runs = np.arange(users), [], []
    for number, hidden in enumerate(groups):
        left = of_users(dataset, np.setdiff1d(everybody, hidden))
        runs.append((left, trained(left, data, replace(config, output_dir=str(folder / f"without_{number}")))))
    for number, hidden in enumerate(groups):
        (left, factors), new = runs[number], of_users(dataset, hidden)
        rows = baselines(new, hidden, left.train)
        if len(groups) > 1:
            other = (number + 1) % len(groups)
            places = np.searchsorted(np.setdiff1d(everybody, groups[other]), hidden)
            for metric in METRICS:
                rows[metric][AS_MANY] = ndcg(runs[other][1], runs[other][0], "test", metric)[places]
        parts.append(compare(served(factors), new, lengths, rows))
    for metric, protocol in METRICS.items():
        values = {name: np.concatenate([part[metric][name] for part in parts]) for name in parts[0][metric]}
        count = len(values["popularity"])
        title = f"b. {count:,} users hidden from training ({len(parts)} runs), {protocol} protocol; their trained rows"
        log(format_comparison(f"{title} are those of run `all`", values, "trained row", metric))
        if AS_MANY in values:
            log(
                format_comparison(
                    "   The same, beside themselves as users of another such run", values, AS_MANY, metric
                )
            )
        log(format_comparison("   The same beside popularity", values, "popularity", metric))


def main(read: Read) -> None:
    config = read(TrainConfig)
    if not config.output_dir:
        raise InputError("`output_dir` is not set", remedy="Name a folder for the runs.")
    bench(infer(read(DataConfig)), config, read(FoldInBenchConfig))


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [FoldInBenchConfig, TrainConfig, DataConfig], recipes_in=FOR_TRAINING)


if __name__ == "__main__":
    run()
