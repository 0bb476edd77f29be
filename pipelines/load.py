"""From the data flags to a split data set."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

from absl import logging

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Ratings, from_ratings
from pipelines.readers import READERS, planted, read_tfds, srns
from pipelines.readers.files import require_given
from pipelines.split import Split, leave_one_out

_TFDS = "tfds:"
_COLUMNS = {"user_column", "item_column", "rating_column", "timestamp_column", "title_column"}
_FILTERS = {"min_rating", "min_user_items", "min_item_users", "duplicates", "split_seed"}


def load_dataset(config: DataConfig, log: Callable[[str], None] = logging.info) -> Split:
    """Reads, filters and splits the data set that `config` names.

    `srns` keeps its own split and negatives, and `planted` is generated whole: neither is filtered.

    Args:
      config: the data flags.
      log: told, a line at a time, what was kept and which of the changed flags have no effect.

    Raises:
      InputError: there is no such data set, `data_dir` is missing, or the input cannot be used.
    """
    name, path = config.dataset, Path(config.data_dir)
    tfds_name = name.removeprefix(_TFDS) if name.startswith(_TFDS) else ""
    if not tfds_name and name not in ("planted", "srns", *READERS):
        raise InputError(
            f"`dataset`={name} is not known",
            remedy=f"Choose planted, srns, {', '.join(READERS)}, or {_TFDS}NAME such as {_TFDS}movielens/1m-ratings.",
        )
    for flag in _without_effect(config):
        log(f"`{flag}`={getattr(config, flag)} has no effect on `dataset`={name}.")

    if name == "planted":
        return planted.generate(config)
    if name == "srns":
        require_given(path, config, f"the folder with {', '.join(srns.FILES)}")
        return srns.read(path)
    return _split(read_tfds(tfds_name, config) if tfds_name else READERS[name](path, config), config, log)


def format_statistics(dataset: Split) -> str:
    """The paper's Table 2 for one data set, and what else tells it from others, as lines with aligned columns."""
    statistics = dataset.statistics()
    held_out = statistics["#Valid"] + statistics["#Test"]
    density = (statistics["#Train"] + held_out) / (statistics["#User"] * statistics["#Item"])
    cold_valid, cold_test = dataset.cold_held_out
    rows = {"Dataset": dataset.name} | {name: f"{count:,}" for name, count in statistics.items()}
    rows |= {
        "Density": f"{density:.2%}",
        "#Valid not in training": f"{cold_valid:,}",
        "#Test not in training": f"{cold_test:,}",
        "Fingerprint": dataset.fingerprint,
    }
    names, values = max(map(len, rows)), max(map(len, rows.values()))
    return "\n".join(f"{name:<{names}}  {value:>{values}}" for name, value in rows.items())


def _without_effect(config: DataConfig) -> Iterator[str]:
    """The flags that were changed although the chosen data set does not look at them."""
    planted_flags = {field.name for field in fields(config) if field.name.startswith("planted_")}
    if config.dataset == "planted":
        used = planted_flags | {"split_seed"}
    elif config.dataset == "srns":
        used = {"data_dir"}
    elif config.dataset == "table" or config.dataset.startswith(_TFDS):
        used = _FILTERS | _COLUMNS | {"data_dir"}
    else:
        used = _FILTERS | {"data_dir"}
    for field in fields(config):
        if field.name not in used | {"dataset"} and getattr(config, field.name) != field.default:
            yield field.name


def _split(ratings: Ratings, config: DataConfig, log: Callable[[str], None]) -> Split:
    interactions = from_ratings(
        ratings,
        min_rating=config.min_rating,
        min_user_items=config.min_user_items,
        min_item_users=config.min_item_users,
        duplicates=config.duplicates,
    )
    log(
        f"{ratings.source}: {interactions.num_interactions:,} of {len(ratings.users):,} rows count as positives, "
        f"of {interactions.num_users:,} users and {interactions.num_items:,} items."
    )
    if ratings.timestamps is None:
        log(f"There are no timestamps: the split is random, from `split_seed`={config.split_seed}.")
    return leave_one_out(config.dataset, interactions, config.split_seed)
