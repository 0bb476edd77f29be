"""Which data to load and how to turn it into a split; each field is a flag of the same name."""

from dataclasses import dataclass, field, fields

from pipelines.checks import LARGEST_SEED, Bounds, Settings
from pipelines.errors import InputError

LEAVE_ONE_OUT, RATIO, TIME = SPLITS = ("leave_one_out", "ratio", "time")
"""The ways to split."""
SHARES = ("test_share", "valid_share")
"""The fields that say how much the ways other than `leave_one_out` hold out."""
FILTERS = ("min_rating", "min_user_items", "min_item_users", "duplicates", "split_by", *SHARES, "split_seed")
"""The fields that say how ratings become a split: looked at wherever a source has no split of its own."""
COLUMNS = ("user_column", "item_column", "rating_column", "timestamp_column", "title_column")
"""The fields that name columns."""
DEFAULT_COLUMNS = {"user_column": "user_id", "item_column": "item_id"}
"""The columns that there must be, and what they are called where nothing else is said or found."""


def flag(
    default: object,
    help: str,
    choices: tuple = (),
    *,
    main: bool = False,
    repeated: bool = False,
    path: bool = False,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> object:
    """A dataclass field that `gdns_tf.flags` turns into a command-line flag, and `pipelines.checks` looks at.

    Args:
      default: of the field and the flag.
      help: what it is, for `--help`.
      choices: the values that it takes; empty: any of its type.
      main: whether it is one of the few that `--help` shows; `--helpfull` shows all.
      repeated: of a tuple: a flag that is given again adds to it. Unasked, the last one counts.
      path: of text: whether it may name a file or folder, which it then could do.
      at_least, above, at_most, below: between what the number, or each of a tuple, must lie. Numbers are finite in any
        case, and whole ones have at most 32 bits where no `at_most` is given.
    """
    bounds = Bounds(at_least, above, at_most, below)
    told = {"help": help, "choices": choices, "main": main, "repeated": repeated, "path": path, "bounds": bounds}
    return field(default=default, metadata=told)


def seed_flag(default: int, help: str, *, main: bool = False) -> object:
    """`flag` of the seed of something random, or of a list of seeds."""
    return flag(default, help, main=main, at_least=0, at_most=LARGEST_SEED)


@dataclass(frozen=True)
class DataConfig(Settings):
    """Where the data comes from and how it is filtered and split.

    Raises:
      InputError: a value is not of its field's type, or out of range.
    """

    dataset: str = flag(
        "",
        "ml-1m, ml-100k, ml-20m, ml-25m, ml-32m, srns, adjacency (user item item ...), inter (RecBole), "
        "table (CSV, TSV, Parquet or a folder of such parts), saved (by Dataset.save), ingested (by pipelines.ingest, "
        "read a block of users at a time), tfds:NAME, planted or planted_large (generated, no files). Empty: told by "
        "the file or folder, or planted where --data_dir is empty too.",
        main=True,
    )
    data_dir: str = flag(
        "",
        "The file or folder to read, local or gs://, s3://, az://; empty: the download folder (MovieLens, tfds).",
        main=True,
        path=True,
    )
    min_rating: float = flag(4.0, "Lowest rating that counts as a positive; sources without ratings keep all rows.")
    min_user_items: int = flag(
        6,
        "Fewest items a user may have (two are held out); others are served by what they have, not trained on.",
        main=True,
        at_least=1,
    )
    min_item_users: int = flag(1, "Fewest users an item may have; others are dropped.", at_least=1)
    duplicates: str = flag(
        "last",
        "Which row of a repeated (user, item) pair counts; if split_by=time it is never the last, which could lie "
        "after the cut and take the pair out of training.",
        ("last", "first", "error"),
    )
    split_by: str = flag(
        LEAVE_ONE_OUT,
        "What is held out. leave_one_out: each user's latest item for test, the one before for validation; ratio: "
        "each user's latest test_share of items for test, valid_share before them for validation; time: all that "
        "comes after a moment, the same for all users, so that training knows nothing of what comes later.",
        SPLITS,
        main=True,
    )
    test_share: float = flag(
        0.1, "Share of the interactions (of each user, or of all) for test; ratio and time.", above=0, below=1
    )
    valid_share: float = flag(0.1, "Likewise for validation, just before them.", above=0, below=1)
    split_seed: int = seed_flag(0, "Seed of the evaluation negatives, and of the split where there are no timestamps.")
    user_column: str = flag(
        "", "Column of user ids (table); empty: user_id, or the only one with a usual name.", main=True
    )
    item_column: str = flag(
        "", "Column of item ids (table); empty: item_id, or the only one with a usual name.", main=True
    )
    rating_column: str = flag("", "Column of ratings (table); empty: none, unless --dataset is empty too.")
    timestamp_column: str = flag(
        "", "Column of timestamps (table); empty: none, unless --dataset is empty too.", main=True
    )
    title_column: str = flag("", "Column of item titles (table); empty: none, unless --dataset is empty too.")
    tfds_community: bool = flag(
        False, "Let tfds:NAMESPACE:NAME (huggingface:..., kaggle:...) load code of strangers, which can do anything."
    )
    planted_users: int = flag(1500, "Users of the planted set.", at_least=1)
    planted_items: int = flag(600, "Items of the planted set.", at_least=1)
    planted_user_items: int = flag(
        100, "Items that a user of planted_large has, on average and about; few have many.", at_least=7
    )
    planted_seed: int = seed_flag(0, "Seed of the planted set.")

    def check(self) -> None:
        if self.test_share + self.valid_share >= 1:
            raise InputError(
                f"`test_share`={self.test_share} and `valid_share`={self.valid_share} leave nothing for training",
                remedy="Choose shares whose sum is below 1, such as 0.1 each.",
            )

    def changes(self, other: "DataConfig") -> list[str]:
        """Names of the fields that differ, but for where the files lie; a column left open is the default one."""

        def said(config: DataConfig, name: str) -> object:
            return getattr(config, name) or DEFAULT_COLUMNS.get(name)

        where = ("data_dir", "tfds_community")  # these say how to get at it, and not what it is
        return [f.name for f in fields(self) if f.name not in where and said(self, f.name) != said(other, f.name)]
