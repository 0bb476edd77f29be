"""A TFRS two-tower model with other negatives: `Retrieval`, its hard negatives, and those of GDNS, side by side.

    python -m gdns_tf.examples.tfrs_two_tower --data_dir=ml-1m

reads MovieLens-1M's `ratings.dat` and `movies.dat`; without `--data_dir` it generates data
(`pipelines.readers.planted`). A user is an id and how active they are, an item an id and its genres.

Each user's latest item is for test, the one before for validation. For each arm the learning rate, one more setting and
the number of epochs are chosen on validation, out of as many as for any other arm; then the arm is trained anew for
each seed and tested once. `tfrs.metrics.FactorizedTopK` ranks the held-out item among all items, those of training
included.

Two arms are controls. "random" is the group-wise loss without a sampler. "least chosen" is GDNS with an epsilon so
large that every choice of a pair moves its G towards 1/2 alike, whatever H does: if it does as well as GDNS, then what
helps is that negatives change, and not the gain.
"""

import itertools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
from absl import app, logging

from gdns_tf.evaluation.significance import paired_test_over_seeds
from gdns_tf.flags import define, from_flags
from gdns_tf.models.losses import LOSSES
from gdns_tf.tfrs import GdnsRetrieval
from pipelines.checks import Settings
from pipelines.config import DataConfig, flag, seed_flag
from pipelines.errors import InputError
from pipelines.load import format_statistics, load_dataset
from pipelines.split import Split

KS = (10, 50, 100)
CHOSEN_BY = 50
ACTIVITIES = 12


@dataclass(frozen=True)
class ExampleConfig(Settings):
    """What to train on, and for how long."""

    data_dir: str = flag(
        "", "Folder with MovieLens-1M's ratings.dat and movies.dat; empty: data is generated.", path=True
    )
    seeds: tuple[int, ...] = seed_flag((0, 1, 2), "Seeds of the runs that are tested.")
    tuning_seed: int = seed_flag(100, "Seed of the runs that are validated.")
    learning_rates: tuple[float, ...] = flag((0.05, 0.1), "Of Adagrad, to choose from.", above=0)
    epochs: int = flag(4, "Most epochs to choose from.", at_least=1)
    batch_size: int = flag(512, "Interactions a step.", at_least=1)
    dim: int = flag(32, "Width of the embeddings.", at_least=1, at_most=2**16)
    group_size: int = flag(32, "Negatives of a row in the group-wise loss.", at_least=1)
    num_candidates: int = flag(64, "Candidates that they are taken from.", at_least=1)
    planted_users: int = flag(500, "Users of the generated data.", at_least=1)
    planted_items: int = flag(400, "Items of the generated data.", at_least=1)


@dataclass(frozen=True)
class Data:
    """A split as TFRS sees it: batches of features."""

    split: Split
    user_features: np.ndarray
    """[num_users, ACTIVITIES] float32, one-hot."""
    item_features: np.ndarray
    """[num_items, num_genres] float32: 1 for each genre of the item."""

    @classmethod
    def load(cls, config: ExampleConfig) -> "Data":
        """Raises InputError if the files are missing or malformed."""
        if config.data_dir:
            split = load_dataset(DataConfig(dataset="ml-1m", data_dir=config.data_dir))
            genres = _movie_genres(Path(config.data_dir) / "movies.dat")
            of_items = [genres.get(movie, ()) for movie in split.train.item_ids.tolist()]
        else:
            planted = {"planted_users": config.planted_users, "planted_items": config.planted_items}
            split = load_dataset(DataConfig(dataset="planted", **planted))
            of_items = [(title.split()[0],) for title in split.train.titles.tolist()]
        names = sorted({genre for genres in of_items for genre in genres})
        item_features = np.array([[name in genres for name in names] for genres in of_items], np.float32)
        activity = np.minimum(np.log2(np.maximum(split.train.counts, 1)), ACTIVITIES - 1).astype(int)
        return cls(split, np.eye(ACTIVITIES, dtype=np.float32)[activity], item_features)

    def rows(self, users: np.ndarray, items: np.ndarray) -> tf.data.Dataset:
        """A row for each user and item [n]."""
        users, items = users.astype(np.int32), items.astype(np.int32)
        train = self.split.train
        share = np.bincount(train.items, minlength=train.num_items) / train.num_interactions
        return tf.data.Dataset.from_tensor_slices(
            {
                "user_id": users,
                "user_features": self.user_features[users],
                "item_id": items,
                "item_features": self.item_features[items],
                "item_share": share[items].astype(np.float32),
            }
        )

    def train(self, batch_size: int, seed: int) -> tf.data.Dataset:
        train = self.split.train
        return self.rows(train.users, train.items).shuffle(train.num_interactions, seed).batch(batch_size).prefetch(2)

    def held_out(self, part: str) -> tf.data.Dataset:
        """The rows of "valid" or "test"."""
        return self.rows(*getattr(self.split, part).pairs).batch(1024)

    def items(self) -> tf.data.Dataset:
        everything = np.arange(self.split.train.num_items)
        return tf.data.Dataset.from_tensor_slices(
            {"item_id": everything.astype(np.int32), "item_features": self.item_features}
        ).batch(1024)


def _movie_genres(path: Path) -> dict[int, tuple[str, ...]]:
    """Movie id -> genres, of lines `id::title::genre|genre`."""
    try:
        lines = path.read_text("latin-1").splitlines()
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror})", path=path, remedy="Set --data_dir to its folder."
        ) from None
    rows = (line.split("::") for line in lines if line.strip())
    return {int(movie): tuple(genres.split("|")) for movie, _, genres in rows}


class Tower(tf.keras.layers.Layer):
    """The sum of an embedding of an id and a linear map of features."""

    def __init__(self, kind: str, num_ids: int, dim: int) -> None:
        """Args:
        kind: "user" or "item"; it reads `{kind}_id` [batch] and `{kind}_features` [batch, n] of a batch.
        num_ids: ids are below this.
        dim: of what it returns, [batch, dim].
        """
        super().__init__(name=f"{kind}_tower")
        self._kind = kind
        self.of_id = tf.keras.layers.Embedding(num_ids, dim)
        self.of_features = tf.keras.layers.Dense(dim, use_bias=False)

    def call(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return self.of_id(batch[f"{self._kind}_id"]) + self.of_features(batch[f"{self._kind}_features"])


class TwoTower(tfrs.Model):
    """What any user of TFRS writes, and where the task is GDNS's, two more arguments of it."""

    def __init__(self, data: Data, dim: int, task: tfrs.tasks.Retrieval, corrected: bool = False) -> None:
        """Args:
        data: for the numbers of users and items, and the items to rank.
        dim: of the embeddings.
        task: what to train by.
        corrected: whether to tell `Retrieval` how often each item is drawn.
        """
        super().__init__()
        self.users = Tower("user", data.split.train.num_users, dim)
        self.items = Tower("item", data.split.train.num_items, dim)
        self.task, self._corrected = task, corrected
        candidates = data.items().map(lambda batch: (batch["item_id"], self.items(batch)))
        self.task.factorized_metrics = [tfrs.metrics.FactorizedTopK(candidates, ks=KS)]

    def compute_loss(self, batch: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        more = {}
        if isinstance(self.task, GdnsRetrieval):
            more = {"query_ids": batch["user_id"], "training": training}
        elif self._corrected:
            more = {"candidate_sampling_probability": batch["item_share"]}
        return self.task(
            self.users(batch),
            self.items(batch),
            candidate_ids=batch["item_id"],
            compute_metrics=not training,
            **more,
        )


@dataclass(frozen=True)
class Arm:
    """One way to train the towers."""

    title: str
    settings: tuple
    """What `make` is given, to choose from: of the same length for all arms."""
    make: Callable[[object, int], tfrs.tasks.Retrieval]
    """From a setting and a seed to the task."""
    corrected: bool = False


def arms(data: Data, config: ExampleConfig) -> list[Arm]:
    def group_wise(**changes: object) -> Callable[[str, int], GdnsRetrieval]:
        return lambda loss, seed: GdnsRetrieval(
            LOSSES[loss](margin=1.0 if loss == "hinge" else 0.0),
            num_hard_negatives=config.group_size,
            num_candidates=config.num_candidates,
            num_users=data.split.train.num_users,
            num_slots=data.split.train.num_items,
            seed=seed,
            **changes,
        )

    def retrieval(temperature: float, seed: int) -> tfrs.tasks.Retrieval:
        del seed
        return tfrs.tasks.Retrieval(temperature=temperature, remove_accidental_hits=True)

    def hard(count: int, seed: int) -> tfrs.tasks.Retrieval:
        del seed
        return tfrs.tasks.Retrieval(num_hard_negatives=count, remove_accidental_hits=True)

    losses = ("hinge", "softplus")
    return [
        Arm("Retrieval", (1.0, 0.3), retrieval),
        Arm("Retrieval, hard negatives", (config.group_size, 8 * config.group_size), hard),
        Arm("Retrieval, popularity corrected", (1.0, 0.3), retrieval, corrected=True),
        Arm("group-wise, random", losses, group_wise(sampler="uniform")),
        Arm("group-wise, least chosen", losses, group_wise(epsilon=1e9)),
        Arm("group-wise, GDNS", losses, group_wise()),
    ]


def fit(
    data: Data, config: ExampleConfig, arm: Arm, rate: float, setting: object, seed: int, epochs: int, validate: bool
) -> tuple[TwoTower, list[float]]:
    """Trains an arm.

    Returns:
      The model, and if `validate`, the validation metric after each epoch.
    """
    tf.keras.utils.set_random_seed(seed)
    model = TwoTower(data, config.dim, arm.make(setting, seed), arm.corrected)
    model.compile(tf.keras.optimizers.Adagrad(rate))
    valid = {"validation_data": data.held_out("valid")} if validate else {}
    history = model.fit(data.train(config.batch_size, seed), epochs=epochs, verbose=0, **valid).history
    return model, history.get(f"val_{_metric(CHOSEN_BY)}", [])


def _metric(k: int) -> str:
    return f"factorized_top_k/top_{k}_categorical_accuracy"


def compare(config: ExampleConfig) -> dict[str, dict[int, list[float]]]:
    """Tunes, trains and tests all arms, and prints a table.

    Returns:
      Title -> K -> test accuracy for each seed.

    Raises:
      InputError: the data cannot be used.
    """
    data = Data.load(config)
    print(format_statistics(data.split), "\n", flush=True)
    results, chosen = {}, {}
    for arm in arms(data, config):
        trials = []
        for rate, setting in itertools.product(config.learning_rates, arm.settings):
            _, curve = fit(data, config, arm, rate, setting, config.tuning_seed, config.epochs, validate=True)
            trials.append((max(curve), rate, setting, int(np.argmax(curve)) + 1))
            print(f"{arm.title}, {rate:g}, {setting}: " + " ".join(f"{value:.4f}" for value in curve), flush=True)
        _, rate, setting, epochs = chosen[arm.title] = max(trials, key=lambda trial: trial[0])
        tests = []
        for seed in config.seeds:
            model, _ = fit(data, config, arm, rate, setting, seed, epochs, validate=False)
            tests.append(model.evaluate(data.held_out("test"), return_dict=True, verbose=0))
        results[arm.title] = {k: [test[_metric(k)] for test in tests] for k in KS}
    print("\n" + format_table(results, chosen))
    return results


def format_table(results: Mapping[str, Mapping[int, list[float]]], chosen: Mapping[str, tuple]) -> str:
    """Mean and deviation over seeds, and how each arm differs from the last one (paired t-test over seeds)."""
    *_, last = results
    lines = [
        f"{'test, % of users with the item in the top K':34}"
        + "".join(f"{f'top {k}':>14}" for k in KS)
        + f"{f'GDNS - this, top {CHOSEN_BY}':>24}{'rate, setting, epochs':>26}{f'valid {CHOSEN_BY}':>10}"
    ]
    for title, of_k in results.items():
        cells = "".join(f"{_mean_sd(of_k[k]):>14}" for k in KS)
        difference = ""
        if title != last and len(of_k[CHOSEN_BY]) > 1:
            test = paired_test_over_seeds(results[last][CHOSEN_BY], of_k[CHOSEN_BY])
            difference = f"{100 * test.difference:+.1f} (p = {test.p_value:.3f})"
        valid, rate, setting, epochs = chosen[title]
        lines.append(f"{title:34}{cells}{difference:>24}{f'{rate:g}, {setting}, {epochs}':>26}{100 * valid:>10.1f}")
    return "\n".join(lines)


def _mean_sd(values: list[float]) -> str:
    spread = f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.1f}{spread}"


def main(argv: list[str]) -> None:
    del argv
    try:
        compare(from_flags(ExampleConfig))
    except InputError as error:
        sys.exit(f"error: {error}")


def run() -> None:
    """The entry point of the command line."""
    define(ExampleConfig)
    logging.set_verbosity(logging.WARNING)
    tf.get_logger().setLevel("ERROR")  # it warns that each model is traced anew
    app.run(main)


if __name__ == "__main__":
    run()
