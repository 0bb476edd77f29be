"""A split data set in one file, as it was when it was saved: the same ids, order, split and evaluation negatives.

The file is an .npz of numbers alone, without a pickle that could run code. Texts are UTF-8 bytes, one after the other,
with the offsets at which each ends: one long title does not make every title as long.
"""

import os
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from pipelines.atomic import whole
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Interactions
from pipelines.paths import AnyPath
from pipelines.readers.files import Source, require_given
from pipelines.split import Split

SETTINGS = ("data_dir",)
_FORMAT = 1
Made = TypeVar("Made")


def save(split: Split, path: str | os.PathLike) -> None:
    """Writes a data set into one file, whole or not at all; `dataset`=saved reads it.

    Args:
      split: the data set.
      path: the file to make, such as `clicks.npz`; it may be in an object store.

    Raises:
      InputError: the file cannot be written.
    """
    train = split.train
    arrays = {"format": np.array(_FORMAT), "offsets": train.offsets, "items": train.items}
    arrays |= {name: getattr(split, name) for name in ("valid", "test", "test_negatives")}
    if not np.array_equal(split.valid_negatives, split.test_negatives):
        arrays["valid_negatives"] = split.valid_negatives
    if train.timestamps is not None:
        arrays["timestamps"] = train.timestamps
    if split.false_negatives is not None:
        arrays["liked_offsets"], arrays["liked_items"] = split.false_negatives
    texts = {"name": np.array([split.name]), "user_ids": train.user_ids, "item_ids": train.item_ids}
    for name, values in (texts | {"titles": train.titles}).items():
        if values is not None:
            arrays |= _packed(name, values)
    _write(path, arrays, np.savez_compressed)


def save_interactions(interactions: Interactions, path: str | os.PathLike) -> None:
    """Writes users, items and who has what, without times and titles, into one file, whole or not at all.

    It is quick, and the file not compressed; `read_interactions` reads it.

    Raises:
      InputError: the file cannot be written.
    """
    arrays = {"format": np.array(_FORMAT), "offsets": interactions.offsets, "items": interactions.items}
    arrays |= _packed("user_ids", interactions.user_ids) | _packed("item_ids", interactions.item_ids)
    _write(path, arrays, np.savez)


def _write(path: str | os.PathLike, arrays: dict[str, np.ndarray], save_npz: Callable) -> None:
    try:
        with whole(path) as unfinished, unfinished.open("wb") as file:
            save_npz(file, **arrays)
    except OSError as error:
        remedy = "Check that the folder exists, and its permissions."
        raise InputError(f"cannot be written ({error.strerror or error})", path=str(path), remedy=remedy) from error


def read(path: AnyPath | None, _config: DataConfig | None = None) -> Split:
    """Reads what `save` wrote.

    Raises:
      InputError: there is no such file, it is damaged, or was not written by `save`.
    """
    return _read(path, _split)


def read_interactions(path: AnyPath) -> Interactions:
    """Reads what `save_interactions` wrote.

    Raises:
      InputError: as `read`.
    """
    return _read(path, _interactions)


def _read(path: AnyPath | None, make: Callable[[dict[str, np.ndarray]], Made]) -> Made:
    """What `make` makes of the arrays in a file."""
    require_given(path, "a file that was saved")
    with Source(path).open() as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except (ValueError, TypeError, AttributeError, EOFError, MemoryError) as error:
            raise _foreign(path, str(error)) from None
    try:
        if arrays.pop("format").tolist() != _FORMAT:
            raise _foreign(path, "another format")
        return make(arrays)
    except InputError:  # which is a ValueError, and says all
        raise
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise _foreign(path, f"{type(error).__name__}: {error}") from None


def _interactions(arrays: dict[str, np.ndarray]) -> Interactions:
    """As `_split`, of what `save_interactions` wrote."""
    ids = {name: _unpacked(name, arrays) for name in ("user_ids", "item_ids")}
    made = Interactions(arrays["offsets"], arrays["items"], **ids)
    _check_rows(made.offsets, made.items, made.num_users, made.num_items)
    return made


def _split(arrays: dict[str, np.ndarray]) -> Split:
    """The data set that the arrays describe, raising KeyError or ValueError where they do not describe one."""
    train = Interactions(
        offsets=arrays["offsets"],
        items=arrays["items"],
        user_ids=_unpacked("user_ids", arrays),
        item_ids=_unpacked("item_ids", arrays),
        timestamps=arrays.get("timestamps"),
        titles=_unpacked("titles", arrays) if "titles_bytes" in arrays else None,
    )
    negatives = arrays["test_negatives"]
    liked = (arrays["liked_offsets"], arrays["liked_items"]) if "liked_items" in arrays else None
    for offsets, items in ((train.offsets, train.items), *([liked] if liked else [])):
        _check_rows(offsets, items, train.num_users, train.num_items)
    for name, per_item in (("timestamps", train.items), ("titles", train.item_ids)):
        values = getattr(train, name)
        if values is not None and values.shape != per_item.shape:
            raise ValueError(f"{len(values)} {name} of {len(per_item)}")
    split = Split(
        name=str(_unpacked("name", arrays)[0]),
        train=train,
        valid=arrays["valid"],
        test=arrays["test"],
        valid_negatives=arrays.get("valid_negatives", negatives),
        test_negatives=negatives,
        false_negatives=liked,
    )
    held_out = (split.valid, 1), (split.test, 1), (split.valid_negatives, 2), (split.test_negatives, 2)
    for items, dimensions in held_out:
        if items.ndim != dimensions:
            raise ValueError(f"an array of {items.ndim} dimensions")
        if len(items) != train.num_users:
            raise ValueError(f"{len(items)} rows of {train.num_users} users")
        _check_items(items, train.num_items)
    return split


def _check_rows(offsets: np.ndarray, items: np.ndarray, num_users: int, num_items: int) -> None:
    rows = (len(offsets), offsets[0], offsets[-1])
    if offsets.dtype != np.int64 or rows != (num_users + 1, 0, len(items)) or (np.diff(offsets) < 0).any():
        raise ValueError("offsets do not fit the items")
    _check_items(items, num_items)


def _check_items(items: np.ndarray, num_items: int) -> None:
    if items.dtype != np.int32 or (items.size and not 0 <= items.min() <= items.max() < num_items):
        raise ValueError("an item that there is not")


def _packed(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Numbers as they are, texts as bytes and where each ends."""
    if values.dtype.kind != "U":
        return {name: values}
    words = [word.encode() for word in values.tolist()]
    ends = np.cumsum([len(word) for word in words], dtype=np.int64)
    return {f"{name}_bytes": np.frombuffer(b"".join(words), np.uint8), f"{name}_ends": ends}


def _unpacked(name: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The inverse of `_packed`."""
    if name in arrays:
        return arrays[name].astype(np.int64, casting="safe")
    content, ends = arrays[f"{name}_bytes"].tobytes(), arrays[f"{name}_ends"].tolist()
    return np.array([content[start:end].decode() for start, end in zip([0, *ends], ends, strict=False)], str)


def _foreign(path: AnyPath, problem: str) -> InputError:
    remedy = "Save the data set again, or choose the `dataset` that this file is."
    return InputError(f"not a saved data set, or damaged ({problem})", path=path, remedy=remedy)
