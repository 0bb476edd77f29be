"""The files that SRNS (Ding et al., NeurIPS 2020) published: a split data set with its evaluation negatives.

A folder of four pickles of NumPy arrays: `train.pkl`, `val.pkl` and `test.pkl` hold rows of (user, item), the latter
two one for each user in order; `test_neg.pkl` holds a row of evaluation negatives for each user, used for validation
and test alike (they may repeat). An optional `items.tsv` (item, movie_id, title, genres) names the items.
"""

from dataclasses import dataclass

import numpy as np

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.held_out import HeldOut
from pipelines.interactions import Interactions
from pipelines.paths import AnyPath
from pipelines.readers.files import Source, require_given
from pipelines.restricted_pickle import load_array
from pipelines.split import Split
from pipelines.titles import title_array

SETTINGS = ("data_dir",)
FILES = ("train.pkl", "val.pkl", "test.pkl", "test_neg.pkl")
_ITEMS_HEADER = ["item", "movie_id", "title", "genres"]


def recognise(path: AnyPath) -> str:
    """The data set's name if this is a folder of the kind; "" if not."""
    return "srns" if path.is_dir() and any((path / name).is_file() for name in FILES) else ""


def read(path: AnyPath | None, _config: DataConfig | None = None) -> Split:
    """Reads a folder of SRNS's files.

    The items are the rows of `items.tsv` if it is there, else 0 to the largest of `train.pkl`. A held-out item among
    them that no user has in training is accepted: it is a hard question, not a wrong one.

    Args:
      path: the folder.

    Returns:
      The data set with SRNS's own split and negatives. Raw item ids are those of `items.tsv` (an item that it leaves
      without one gets -1 - item); without the file, the item numbers.

    Raises:
      InputError: a file is missing, damaged or not what it should be, or the files contradict each other.
    """
    require_given(path, f"the folder with {', '.join(FILES)}")
    if missing := [name for name in FILES if not (path / name).is_file()]:
        raise InputError(
            f"has no {', '.join(missing)}", path=path, remedy=f"`data_dir` must be a folder with {', '.join(FILES)}."
        )
    train, valid, test = (_read_pairs(path / name) for name in FILES[:3])
    negatives = _read_negatives(path / FILES[3])
    num_users = len(test.rows)
    _check_users(train, valid, test, negatives)
    if (path / "items.tsv").exists():
        item_ids, titles = _read_items(path / "items.tsv")
    else:
        item_ids, titles = np.arange(_count_items(train, most=len(train.rows) + 2 * num_users)), None
    _check_items(train, valid, test, negatives, num_items=len(item_ids))

    by_user = np.argsort(train.users, kind="stable")
    shared_negatives = negatives.items.reshape(num_users, -1).astype(np.int32)
    return Split(
        name="srns",
        train=Interactions(
            offsets=np.concatenate([[0], np.cumsum(np.bincount(train.users))]),
            items=train.items[by_user].astype(np.int32),
            user_ids=np.arange(num_users),
            item_ids=item_ids,
            titles=titles,
        ),
        valid=HeldOut.one_each(valid.items.astype(np.int32), shared_negatives),
        test=HeldOut.one_each(test.items.astype(np.int32), shared_negatives),
    )


@dataclass(frozen=True)
class _Pairs:
    """The (user, item) pairs of one file; all arrays are [num_pairs] int64."""

    file: AnyPath
    rows: np.ndarray
    users: np.ndarray
    items: np.ndarray

    def refuse(self, wrong: np.ndarray, problem: str, remedy: str = "") -> None:
        """Raises InputError that names the first pair where `wrong` [num_pairs] is true."""
        if wrong.any():
            row, user, item = (column[np.argmax(wrong)] for column in (self.rows, self.users, self.items))
            problem = f"row {row} (the first is 0) pairs user {user} with item {item}, but {problem}"
            raise InputError(problem, path=self.file, remedy=remedy)

    def keys(self, num_items: int) -> np.ndarray:
        """[num_pairs] int64: one number for each different pair."""
        return self.users * num_items + self.items


def _read_integers(file: AnyPath) -> np.ndarray:
    array = load_array(file)
    if array.ndim != 2 or array.dtype.kind not in "iu" or not array.size:
        found = f"an array of shape {list(array.shape)} and dtype {array.dtype}"
        raise InputError(f"holds {found}, where rows of integers should be", path=file)
    return array.astype(np.int64)  # uint64 beyond its range wraps to negative numbers, which are refused


def _read_pairs(file: AnyPath) -> _Pairs:
    array = _read_integers(file)
    if array.shape[1] != 2:
        raise InputError(f"has {array.shape[1]} columns, where user and item should be", path=file)
    return _Pairs(file, np.arange(len(array)), array[:, 0], array[:, 1])


def _read_negatives(file: AnyPath) -> _Pairs:
    array = _read_integers(file)
    users = np.repeat(np.arange(len(array)), array.shape[1])
    return _Pairs(file, rows=users, users=users, items=array.ravel())


def _read_items(file: AnyPath) -> tuple[np.ndarray, np.ndarray]:
    """Reads `items.tsv`: [num_items] int64 MovieLens ids, and [num_items] titles; see `read` for items without."""
    lines = (line.rstrip("\r\n") for _, line in Source(file).lines())
    header = "\t".join(_ITEMS_HEADER)
    if next(lines, "").split("\t") != _ITEMS_HEADER:
        raise InputError("has another header", path=file, line=1, remedy=f"It must be {header!r}, with tabs.")
    titles: dict[int, str] = {}
    for item, line in enumerate(lines):
        cells = line.split("\t")
        if len(cells) != len(_ITEMS_HEADER) or cells[0] != str(item):
            problem = f"is {line[:80]!r}, where item {item} with its movie_id, title and genres should be"
            raise InputError(problem, path=file, line=item + 2)
        _, movie_id, title, _ = cells
        if not movie_id:
            titles[-1 - item] = f"(item {item})"
            continue
        if not movie_id.isdecimal() or len(movie_id) > 18:  # int64 holds all of 18 digits
            raise InputError(f"movie_id {movie_id[:80]!r} is not a number", path=file, line=item + 2)
        if int(movie_id) in titles:
            raise InputError(f"movie_id {movie_id} stands there twice", path=file, line=item + 2)
        titles[int(movie_id)] = title
    return np.array(list(titles), np.int64), title_array(titles.values(), file)


def _check_users(train: _Pairs, valid: _Pairs, test: _Pairs, negatives: _Pairs) -> None:
    """Each user, numbered from 0, has a row in each of the held-out files and one or more in training."""
    for part in (valid, test):
        remedy = "Write one row for each user, in the order of users: test_neg.pkl knows them only by that order."
        part.refuse(part.users != part.rows, "row 0 should be of user 0, row 1 of user 1, and so on", remedy)
    num_users = len(test.rows)
    for part in (valid, negatives):
        if (rows := part.rows[-1] + 1) != num_users:
            raise InputError(f"has {rows} rows, but test.pkl has {num_users} users", path=part.file)
    train.refuse((train.users < 0) | (train.users >= num_users), f"test.pkl has users 0 to {num_users - 1}")
    counts = np.bincount(train.users, minlength=num_users)
    if not counts.all():
        remedy = "Leave the user out of all files: nothing can be learnt about them."
        raise InputError(f"has no row of user {np.argmin(counts)}", path=train.file, remedy=remedy)


def _count_items(train: _Pairs, most: int) -> int:
    """1 + the largest item, where that is not absurd: item numbers are dense, so each has a row in some file."""
    remedy = "Number the items 0, 1, 2, ... without large gaps, or put an items.tsv beside the file."
    train.refuse(train.items >= most, f"there are not that many items in {most} rows", remedy)
    return int(train.items.max()) + 1


def _check_items(train: _Pairs, valid: _Pairs, test: _Pairs, negatives: _Pairs, num_items: int) -> None:
    """All items are known, no pair stands in two places, and no negative is an item that its user has."""
    for part in (train, valid, test, negatives):
        problem = f"the items known to training are 0 to {num_items - 1}"
        remedy = "Leave the row out, or give items.tsv a row for each item."
        part.refuse((part.items < 0) | (part.items >= num_items), problem, remedy)

    keys = train.keys(num_items)
    order = np.argsort(keys, kind="stable")
    known = keys[order]
    repeated = np.zeros(len(known), bool)
    repeated[order[1:]] = np.diff(known) == 0
    train.refuse(repeated, "an earlier row does so too", "Remove the repeat.")
    for part in (valid, test, negatives):
        keys = part.keys(num_items)
        nearest = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        has_it = known[nearest] == keys
        part.refuse(has_it, "an earlier file says that the user has it", "Remove it from one of the files.")
        known = np.sort(np.concatenate([known, keys]))
