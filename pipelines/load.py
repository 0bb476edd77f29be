"""From the data settings to a split data set."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pipelines.config import DEFAULT_COLUMNS, LEAVE_ONE_OUT, RATIO, SHARES, TIME, DataConfig
from pipelines.errors import InputError, naming
from pipelines.infer import infer
from pipelines.interactions import Ratings, from_ratings
from pipelines.notices import notices
from pipelines.paths import as_path
from pipelines.readers import reader
from pipelines.readers.files import reading
from pipelines.split import Split, by_ratio, leave_one_out
from pipelines.time_cut import by_time, no_timestamps

if TYPE_CHECKING:
    from pipelines.streamed import StreamedSplit

IN_MEMORY = "dataframe"
"""The `dataset` of what was made of DataFrames and can be loaded from nowhere."""
SAVED = "saved"
"""That of what `pipelines.readers.saved` wrote."""
INGESTED = "ingested"
"""That of what `pipelines.ingest` wrote, which is read from its shards."""
_HIGHEST_STARS = 5
"""Of the scale that the default of `min_rating` is meant for."""


Sized = Callable[[int, int], None]
"""What is told the numbers of users and items as soon as they are known; what it raises ends the loading."""


def _nobody(num_users: int, num_items: int) -> None:
    """Is told the sizes where nobody asks for them."""


def load_dataset(config: DataConfig, sized: Sized = _nobody) -> "Split | StreamedSplit":
    """Reads, filters and splits the data set that `config` names.

    What `config` leaves open is inferred: see `pipelines.infer`. `srns`, `saved` and `ingested` keep their own split
    and negatives, and `planted` is generated whole: they are not filtered. `ingested` is read by and by, as training
    and evaluation go on. Notices tell what was kept, what was dropped, and which of the changed settings have no
    effect.

    Args:
      config: the data settings.
      sized: is told the numbers of users and items before the split, which takes longest; of a split by time the most
        that they may come to.

    Raises:
      InputError: there is no such data set, `data_dir` is missing or out of place, or the input cannot be used.
    """
    if config.dataset == IN_MEMORY:
        raise InputError(
            f"`dataset`={IN_MEMORY} lies in no file: it was made of a DataFrame",
            remedy="Hand on the Dataset itself, or save it (Dataset.save) and load it by `dataset`=saved.",
        )
    config = infer(config)
    module = reader(config.dataset)
    check_settings(config, module)
    if known := getattr(module, "sizes", None):
        sized(*known(config))
    with reading(config.data_dir):
        found = module.read(as_path(config.data_dir) if config.data_dir else None, config)
    if isinstance(found, Ratings):
        return split_ratings(found, config, sized)
    if not known:
        sized(found.train.num_users, found.train.num_items)
    return found


def split_ratings(ratings: Ratings, config: DataConfig, sized: Sized = _nobody) -> Split:
    """Filters and splits ratings as `config` says; see `from_ratings`, `leave_one_out`, `by_ratio` and `by_time`.

    Filters count all that a user or an item has, after a cut in time too.

    Raises:
      InputError: nothing is left, or what is left cannot be split.
    """
    check_splittable(config)
    with naming(ratings.source):
        return _split(ratings, config, sized)


def _split(ratings: Ratings, config: DataConfig, sized: Sized) -> Split:
    if config.split_by == TIME and ratings.timestamps is None:
        raise no_timestamps()
    interactions = from_ratings(
        ratings,
        min_rating=config.min_rating,
        min_user_items=config.min_user_items,
        min_item_users=config.min_item_users,
        duplicates=repeats_rule(config),
    )
    grades = None if ratings.ratings is None else Grades.of(ratings.ratings, config.min_rating)
    timed = ratings.timestamps is not None
    tell_kept(interactions, len(ratings.users), grades, config, source=ratings.source, timed=timed)
    sized(interactions.num_users, interactions.num_items)
    if config.split_by == LEAVE_ONE_OUT:
        return leave_one_out(config.dataset, interactions, config.split_seed)
    split = by_ratio if config.split_by == RATIO else by_time
    return split(config.dataset, interactions, config.valid_share, config.test_share, config.split_seed)


def repeats_rule(config: DataConfig) -> str:
    """Which row of a repeated pair counts, as `from_ratings` takes it."""
    # What a user has had before the cut must not leave training for being had again after it.
    return "first" if config.split_by == TIME and config.duplicates == "last" else config.duplicates


@dataclass(frozen=True)
class Grades:
    """What ratings are like."""

    low: float
    high: float
    positive: float
    """The share of them that reach `min_rating`."""

    @classmethod
    def of(cls, ratings: np.ndarray, min_rating: float) -> "Grades":
        return cls(ratings.min(), ratings.max(), np.mean(ratings >= min_rating))


class Kept(Protocol):
    """What is left of a source: counts, as `Interactions` has them."""

    num_interactions: int
    num_users: int
    num_items: int


def tell_kept(
    kept: Kept, num_rows: int, grades: Grades | None, config: DataConfig, *, source: str, timed: bool
) -> None:
    """Gives notice of what counts of a source's rows, and of settings that do not suit it or have no effect."""
    notices.info(
        f"{source}: {kept.num_interactions:,} of {num_rows:,} rows count as positives, "
        f"of {kept.num_users:,} users and {kept.num_items:,} items."
    )
    if grades is not None:
        _check_scale(grades, config, source)
    elif config.min_rating != DataConfig.min_rating:
        notices.warning(f"`min_rating`={config.min_rating:g} has no effect: there are no ratings.")
    if not timed:
        notices.warning(f"There are no timestamps: the split is random, from `split_seed`={config.split_seed}.")
    if config.split_by == LEAVE_ONE_OUT:
        for name in SHARES:
            if (value := getattr(config, name)) != getattr(DataConfig, name):
                notices.warning(f"`{name}`={value:g} has no effect on `split_by`={LEAVE_ONE_OUT}.")


def _check_scale(grades: Grades, config: DataConfig, source: str) -> None:
    """Gives notice of ratings that go beyond the scale that the default threshold is meant for."""
    if grades.high > _HIGHEST_STARS and config.min_rating == DataConfig.min_rating:
        notices.warning(
            f"{source}: the ratings go from {grades.low:g} to {grades.high:g}, and `min_rating`={config.min_rating:g} "
            f"is for 1 to {_HIGHEST_STARS}: {grades.positive:.0%} of the rows count as positives. Set `min_rating` to "
            "the lowest rating that means liked; of counts that may be 1."
        )


def check_splittable(config: DataConfig) -> None:
    """Raises InputError where `min_user_items` admits users of whom nothing is left to learn from."""
    if config.split_by != TIME and config.min_user_items < 3:
        raise InputError(
            f"`min_user_items`={config.min_user_items} is too few: validation, test and training need an item each",
            remedy="Set `min_user_items` to 3 or more.",
        )


def format_statistics(dataset: "Split | StreamedSplit") -> str:
    """The paper's Table 2 for one data set, and what else tells it from others, as lines with aligned columns."""
    statistics = dataset.statistics()
    held_out = statistics["#Valid"] + statistics["#Test"]
    density = (statistics["#Train"] + held_out) / (statistics["#User"] * statistics["#Item"])
    cold_valid, cold_test = dataset.cold_held_out
    rows = {"Dataset": dataset.name} | {name: f"{count:,}" for name, count in statistics.items()}
    if not dataset.leaves_one_out:
        rows |= {"#User with valid": f"{len(dataset.valid.users):,}", "#User with test": f"{len(dataset.test.users):,}"}
    rows |= {
        "Density": f"{density:.2%}",
        "#Valid not in training": f"{cold_valid:,}",
        "#Test not in training": f"{cold_test:,}",
    }
    for each in dataset.train.filters:
        rows[f"Dropped: {each.setting}"] = f"{each.rows:,} rows, {each.users:,} users, {each.items:,} items"
    if dataset.train.filters:
        rows["#User served by history"] = f"{dataset.train.num_dropped_users:,}"
    rows["Fingerprint"] = dataset.fingerprint
    names, values = max(map(len, rows)), max(map(len, rows.values()))
    return "\n".join(f"{name:<{names}}  {value:>{values}}" for name, value in rows.items())


def check_settings(config: DataConfig, module: ModuleType) -> None:
    """Refuses settings that contradict the data set, and gives notice of those that it does not look at."""
    if config.data_dir and "data_dir" not in module.SETTINGS:
        raise InputError(
            f"`data_dir`={config.data_dir} is given, but `dataset`={config.dataset} reads no files",
            remedy="Leave out `dataset` and it is told by the file; or leave out `data_dir`.",
        )
    if "min_user_items" in module.SETTINGS:
        check_splittable(config)
    for field in fields(config):
        value, unset = getattr(config, field.name), DEFAULT_COLUMNS.get(field.name, field.default)
        if field.name not in ("dataset", *module.SETTINGS) and value != unset:
            notices.warning(f"`{field.name}`={value} has no effect on `dataset`={config.dataset}.")
