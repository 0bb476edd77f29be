"""The public data set: where it may come from, each way a class method of `Dataset`."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from narwhals.typing import IntoDataFrame

from pipelines.config import FILTERS, DataConfig
from pipelines.errors import InputError
from pipelines.infer import infer
from pipelines.load import IN_MEMORY, load_dataset, split_ratings
from pipelines.nearest import did_you_mean
from pipelines.paths import as_path, is_remote
from pipelines.readers import READERS, dataframe, given_split, saved
from pipelines.split import Split

if TYPE_CHECKING:
    from pipelines.streamed import StreamedSplit

_COLUMN_ARGUMENTS = {f"{name}_column": name for name in ("user", "item", "rating", "timestamp", "title")}


@dataclass(frozen=True, repr=False)
class Dataset(Split):
    """Users' interactions with items, split for training, validation and test.

    Made by one of the class methods; the fields are those of `pipelines.split.Split` and `source`.
    """

    source: DataConfig = field(kw_only=True)
    """How it was made."""

    @classmethod
    def from_dataframe(
        cls,
        df: IntoDataFrame,
        user: str = "",
        item: str = "",
        rating: str = "",
        timestamp: str = "",
        title: str = "",
        **settings: object,
    ) -> "Dataset":
        """A data set of the rows of a table, one for each rating, click or pin.

            clicks = pandas.DataFrame({"user": ["ann", ...], "song": [7, ...], "at": [...]})
            data = Dataset.from_dataframe(clicks, user="user", item="song", timestamp="at", min_user_items=5)

        Where neither `user` nor `item` is given, all columns that are not are told by their usual names, such as
        `userId`, `rating`, `timestamp`: see `pipelines.readers.usual_columns`. `source` says which they are.

        Args:
          df: a pandas or polars DataFrame or an Arrow table.
          user: column of user ids, integers or text; where only `item` is given, user_id.
          item: column of item ids, integers or text; where only `user` is given, item_id.
          rating: column of ratings, of which those of at least `min_rating` count; empty: all rows count.
          timestamp: column of times, numbers of seconds or datetimes (without a zone they count as UTC), by which each
            user's last two items are held out; empty: two at random, from `split_seed`.
          title: column of item titles; empty: items are shown by id.
          **settings: `min_rating` (4), `min_user_items` (6), `min_item_users` (1), `duplicates` ("last"), `split_by`
            ("leave_one_out"; "ratio" or "time" for several held-out items a user) with `test_share` and `valid_share`
            (0.1), and `split_seed` (0), as in `DataConfig`.

        Raises:
          InputError: a column or value cannot be used (the message names column and row), no user has enough items,
            or there is no such setting.
        """
        _check_names(settings, FILTERS)
        with _speaking_of(_COLUMN_ARGUMENTS):
            config = DataConfig(
                dataset=IN_MEMORY,
                user_column=user,
                item_column=item,
                rating_column=rating,
                timestamp_column=timestamp,
                title_column=title,
                **settings,
            )
            config = dataframe.with_columns(df, config)
            return with_source(split_ratings(dataframe.read(df, config), config), config)

    @classmethod
    def load(
        cls, name: str | os.PathLike = "", path: str | os.PathLike = "", **settings: object
    ) -> "Dataset | StreamedSplit":
        """A data set by its file or its name: tables, MovieLens, TensorFlow Datasets, one that was saved, and so on.

            data = Dataset.load("clicks.csv")
            data = Dataset.load("ml-1m")
            data = Dataset.load("table", "gs://bucket/clicks.parquet", user_column="user", item_column="song")
            data = Dataset.load("saved", "clicks.npz")
            data = Dataset.load("ingested", "clicks/")

        The last, a folder that `python -m pipelines.ingest` or `save_shards` wrote, is not read into memory: it is a
        `pipelines.streamed.StreamedSplit`, which training, evaluation and export read a block of users at a time.

        Args:
          name: what the setting `dataset` may be; see `DataConfig`. Or the file or folder alone: then what it is, and
            of a table which column is what, is inferred where it is plain; see `pipelines.infer`.
          path: the file or folder to read, on this machine or in an object store; empty: the download folder
            (MovieLens, TensorFlow Datasets).
          **settings: other fields of `DataConfig`.

        Raises:
          InputError: there is no such data set or setting, or the input cannot be used.
        """
        _check_names(settings, [each.name for each in fields(DataConfig) if each.name not in ("dataset", "data_dir")])
        with _speaking_of({"data_dir": "path", "dataset": "name"}):
            name, path = ("", name) if not path and _is_path(name) else (name, path)
            config = infer(DataConfig(dataset=name, data_dir=path, **settings))
            return with_source(load_dataset(config), config)

    @classmethod
    def from_split(
        cls,
        train: IntoDataFrame,
        valid: IntoDataFrame,
        test: IntoDataFrame,
        user: str = "user_id",
        item: str = "item_id",
        title: str = "",
        timestamp: str = "",
        split_seed: int = 0,
    ) -> "Dataset":
        """A data set with a split of your own: none of its rows is moved.

            data = Dataset.from_split(train, valid, test, user="user", item="song")

        Users may have several rows in `valid` and `test`, or none: those are not evaluated there. Users without a row
        in `train` cannot be learnt about, and are left out. Notices say how many.

        Args:
          train: a pandas or polars DataFrame or an Arrow table.
          valid: likewise.
          test: likewise; no item of a user stands in two of the three.
          user: column of user ids, in all three.
          item: column of item ids, in all three.
          title: column of item titles, in all three; empty: items are shown by id.
          timestamp: column of times in `train`; empty: there are none.
          split_seed: seed of the 100 evaluation negatives of each user, items that the user has in none of the three.

        Raises:
          InputError: a column or value cannot be used, or the split is not as described; the message names a user.
        """
        with _speaking_of(_COLUMN_ARGUMENTS):
            config = DataConfig(
                dataset=IN_MEMORY,
                user_column=user,
                item_column=item,
                title_column=title,
                timestamp_column=timestamp,
                split_seed=split_seed,
            )
            frames = {"train": train, "valid": valid, "test": test}
            return with_source(given_split.read(frames, config), config)

    def save(self, path: str | os.PathLike) -> None:
        """Writes it into one file, which `Dataset.load("saved", path)` reads; see `pipelines.readers.saved.save`."""
        saved.save(self, path)

    def save_shards(self, path: str | os.PathLike, num_shards: int = 0) -> None:
        """Writes it as a folder of shards, without times; `Dataset.load("ingested", path)` reads it by and by.

        Args:
          path: the folder, made if need be.
          num_shards: files that its users go to; 0: one for every 65,536 users.

        Raises:
          InputError: it cannot be written.
        """
        from pipelines.ingested import save_shards  # TensorFlow

        save_shards(self, path, self.source, num_shards)

    def __repr__(self) -> str:
        interactions = self.train.num_interactions + len(self.valid.items) + len(self.test.items)
        counts = f"{self.train.num_users:,} users, {self.train.num_items:,} items, {interactions:,} interactions"
        served = f", and {self.train.num_dropped_users:,} users by history" if self.train.dropped else ""
        return f"<Dataset {self.name}: {counts}{served}>"


def with_source(split: "Split | StreamedSplit", config: DataConfig) -> "Dataset | StreamedSplit":
    """A split and how it was made; one that is read from its shards knows that already."""
    if not isinstance(split, Split):
        return split
    return Dataset(**{each.name: getattr(split, each.name) for each in fields(Split)}, source=config)


def _is_path(name: str | os.PathLike) -> bool:
    """Whether what stands in place of a data set's name is a file or folder: it is there, or is written as one."""
    if not isinstance(name, str):
        return True
    source, colon, _ = name.partition(":")
    if source + colon in READERS:
        return False
    if is_remote(name) or {os.sep, "."} & set(name) or name.startswith("~"):
        return True
    try:
        return bool(name) and as_path(name).exists()
    except OSError:  # such as a name that is too long
        return False


def _check_names(settings: Mapping[str, object], known: list[str] | tuple[str, ...]) -> None:
    """Refuses keyword arguments that are no settings, as Python itself would, and says which one is near."""
    for name in settings:
        if name not in known:
            raise InputError(
                f"there is no setting `{name}`{did_you_mean(name, known)}",
                remedy=f"The settings are {', '.join(known)}.",
            )


@contextmanager
def _speaking_of(arguments: Mapping[str, str]) -> Iterator[None]:
    """Has an InputError name the arguments that a caller gave, where it names the settings that they became."""
    try:
        yield
    except InputError as error:
        message = str(error)
        for setting, argument in arguments.items():
            message = message.replace(f"`{setting}`", f"`{argument}`")
        error.args = (message,)
        raise
