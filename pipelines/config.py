"""Which data to load and how to turn it into a split; each field is a flag of the same name."""

from dataclasses import dataclass, field, fields


def flag(default: object, help: str, choices: tuple = (), *, main: bool = False) -> object:
    """A dataclass field that `gdns_tf.flags` turns into a command-line flag.

    Args:
      default: of the field and the flag.
      help: what it is, for `--help`.
      choices: the values that it takes; empty: any of its type.
      main: whether it is one of the few that `--help` shows; `--helpfull` shows all.
    """
    return field(default=default, metadata={"help": help, "choices": choices, "main": main})


@dataclass(frozen=True)
class DataConfig:
    """Where the data comes from and how it is filtered and split."""

    dataset: str = flag(
        "planted",
        "ml-1m, ml-100k, ml-20m, ml-25m, ml-32m, srns, adjacency (user item item ...), inter (RecBole), "
        "table (CSV, TSV or Parquet), tfds:NAME, or planted (generated, no files).",
    )
    data_dir: str = flag("", "The file or folder to read; empty: the download folder (MovieLens, tfds).")
    min_rating: float = flag(4.0, "Lowest rating that counts as a positive; sources without ratings keep all rows.")
    min_user_items: int = flag(6, "Fewest items a user may have (two are held out); others are dropped.")
    min_item_users: int = flag(1, "Fewest users an item may have; others are dropped.")
    duplicates: str = flag("last", "Which row of a repeated (user, item) pair counts.", ("last", "first", "error"))
    split_seed: int = flag(0, "Seed of the evaluation negatives, and of the split where there are no timestamps.")
    user_column: str = flag("user_id", "Column of user ids (table).")
    item_column: str = flag("item_id", "Column of item ids (table).")
    rating_column: str = flag("", "Column of ratings (table); empty: there are none.")
    timestamp_column: str = flag("", "Column of timestamps (table); empty: there are none.")
    title_column: str = flag("", "Column of item titles (table); empty: there are none.")
    planted_users: int = flag(1500, "Users of the planted set.")
    planted_items: int = flag(600, "Items of the planted set.")
    planted_seed: int = flag(0, "Seed of the planted set.")

    def changes(self, other: "DataConfig") -> list[str]:
        """Names of the fields that differ, but for where the files lie."""
        return [
            f.name for f in fields(self) if f.name != "data_dir" and getattr(self, f.name) != getattr(other, f.name)
        ]
