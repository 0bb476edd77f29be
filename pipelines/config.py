"""Which data to load and how to turn it into a split; each field is a flag of the same name."""

from dataclasses import dataclass, field, fields

from pipelines.checks import check_fields
from pipelines.errors import require

FILTERS = ("min_rating", "min_user_items", "min_item_users", "duplicates", "split_seed")
"""The fields that say how ratings become a split: looked at wherever a source has no split of its own."""
COLUMNS = ("user_column", "item_column", "rating_column", "timestamp_column", "title_column")
"""The fields that name columns."""
_AT_LEAST = {
    "min_user_items": 1,
    "min_item_users": 1,
    "split_seed": 0,
    "planted_users": 1,
    "planted_items": 1,
    "planted_seed": 0,
}


def flag(default: object, help: str, choices: tuple = (), *, main: bool = False, repeated: bool = False) -> object:
    """A dataclass field that `gdns_tf.flags` turns into a command-line flag.

    Args:
      default: of the field and the flag.
      help: what it is, for `--help`.
      choices: the values that it takes; empty: any of its type.
      main: whether it is one of the few that `--help` shows; `--helpfull` shows all.
      repeated: of a tuple: a flag that is given again adds to it. Unasked, the last one counts.
    """
    return field(default=default, metadata={"help": help, "choices": choices, "main": main, "repeated": repeated})


@dataclass(frozen=True)
class DataConfig:
    """Where the data comes from and how it is filtered and split.

    Raises:
      InputError: a value is not of its field's type, or out of range.
    """

    dataset: str = flag(
        "planted",
        "ml-1m, ml-100k, ml-20m, ml-25m, ml-32m, srns, adjacency (user item item ...), inter (RecBole), "
        "table (CSV, TSV, Parquet or a folder of such parts), saved (by Dataset.save), tfds:NAME, or planted "
        "(generated, no files).",
        main=True,
    )
    data_dir: str = flag(
        "",
        "The file or folder to read, local or gs://, s3://, az://; empty: the download folder (MovieLens, tfds).",
        main=True,
    )
    min_rating: float = flag(4.0, "Lowest rating that counts as a positive; sources without ratings keep all rows.")
    min_user_items: int = flag(6, "Fewest items a user may have (two are held out); others are dropped.", main=True)
    min_item_users: int = flag(1, "Fewest users an item may have; others are dropped.")
    duplicates: str = flag("last", "Which row of a repeated (user, item) pair counts.", ("last", "first", "error"))
    split_seed: int = flag(0, "Seed of the evaluation negatives, and of the split where there are no timestamps.")
    user_column: str = flag("user_id", "Column of user ids (table).", main=True)
    item_column: str = flag("item_id", "Column of item ids (table).", main=True)
    rating_column: str = flag("", "Column of ratings (table); empty: there are none.")
    timestamp_column: str = flag("", "Column of timestamps (table); empty: there are none.", main=True)
    title_column: str = flag("", "Column of item titles (table); empty: there are none.")
    planted_users: int = flag(1500, "Users of the planted set.")
    planted_items: int = flag(600, "Items of the planted set.")
    planted_seed: int = flag(0, "Seed of the planted set.")

    def __post_init__(self) -> None:
        check_fields(self)
        for name, lowest in _AT_LEAST.items():
            require(getattr(self, name) >= lowest, name, getattr(self, name), f"must be at least {lowest}")

    def changes(self, other: "DataConfig") -> list[str]:
        """Names of the fields that differ, but for where the files lie."""
        return [
            f.name for f in fields(self) if f.name != "data_dir" and getattr(self, f.name) != getattr(other, f.name)
        ]
