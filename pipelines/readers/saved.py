"""A split data set in one file, as it was when it was saved: the same ids, order, split and evaluation negatives.

The file is an .npz of numbers alone, without a pickle that could run code. Texts are UTF-8 bytes, one after the other,
with the offsets at which each ends: one long title does not make every title as long.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from pipelines.atomic import whole
from pipelines.config import DataConfig
from pipelines.errors import InputError, shown
from pipelines.held_out import HeldOut
from pipelines.interactions import Filter, Interactions
from pipelines.paths import AnyPath
from pipelines.raw_ids import packed, unpacked
from pipelines.readers.files import require_given
from pipelines.readers.npz import read_arrays
from pipelines.split import Split

SETTINGS = ("data_dir",)
_LEAVES_ONE_OUT, _SEVERAL = _FORMATS = (1, 2)
"""Of a split with one validation and one test item of each user, as former versions read and wrote it; of others."""
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
    form = _LEAVES_ONE_OUT if split.leaves_one_out else _SEVERAL
    arrays = {"format": np.array(form), "offsets": train.offsets, "items": train.items}
    for name, part in (("valid", split.valid), ("test", split.test)):
        arrays |= {name: part.items, f"{name}_negatives": part.negatives}
        if form == _SEVERAL:
            arrays |= {f"{name}_users": part.users, f"{name}_offsets": part.offsets}
    if np.array_equal(split.valid.negatives, split.test.negatives):
        del arrays["valid_negatives"]
    if train.timestamps is not None:
        arrays["timestamps"] = train.timestamps
    if split.false_negatives is not None:
        arrays["liked_offsets"], arrays["liked_items"] = split.false_negatives
    texts = {"name": np.array([split.name]), "user_ids": train.user_ids, "item_ids": train.item_ids}
    if train.filters:
        texts["filters"] = np.array([each.setting for each in train.filters])
        arrays["filter_counts"] = np.array([(each.rows, each.users, each.items) for each in train.filters])
    if train.dropped is not None:
        arrays |= {"dropped_offsets": train.dropped.offsets, "dropped_items": train.dropped.items}
        texts["dropped_user_ids"] = train.dropped.user_ids
    for name, values in (texts | {"titles": train.titles}).items():
        if values is not None:
            arrays |= packed(name, values)
    _write(path, arrays, np.savez_compressed)


def save_interactions(interactions: Interactions, path: str | os.PathLike) -> None:
    """Writes users, items and who has what, without times and titles, into one file, whole or not at all.

    It is quick, and the file not compressed; `read_interactions` reads it.

    Raises:
      InputError: the file cannot be written.
    """
    arrays = {"format": np.array(_LEAVES_ONE_OUT), "offsets": interactions.offsets, "items": interactions.items}
    arrays |= packed("user_ids", interactions.user_ids) | packed("item_ids", interactions.item_ids)
    _write(path, arrays, np.savez)


def _write(path: str | os.PathLike, arrays: dict[str, np.ndarray], save_npz: Callable) -> None:
    with whole(path) as unfinished, unfinished.open("wb") as file:
        save_npz(file, **arrays)


def recognise(path: AnyPath) -> str:
    """The data set's name if this is a file of the kind; "" if not."""
    return "saved" if path.suffix == ".npz" and path.is_file() else ""


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


def _read(path: AnyPath | None, make: Callable[[dict[str, np.ndarray], int], Made]) -> Made:
    """What `make` makes of the arrays in a file and the number of their format."""
    require_given(path, "a file that was saved")
    arrays = read_arrays(path, _WHAT, _REMEDY)
    try:
        if (form := arrays.pop("format").tolist()) not in _FORMATS:
            raise _foreign(path, "another format")
        return make(arrays, form)
    except InputError:
        raise
    except Exception as error:  # arrays of other shapes and types than they should be
        raise _foreign(path, f"{type(error).__name__}: {shown(str(error))}") from None


def _interactions(arrays: dict[str, np.ndarray], _form: int) -> Interactions:
    """As `_split`, of what `save_interactions` wrote."""
    ids = {name: unpacked(name, arrays) for name in ("user_ids", "item_ids")}
    made = Interactions(arrays["offsets"], arrays["items"], **ids)
    _check_rows(made.offsets, made.items, made.num_users, made.num_items)
    return made


def _split(arrays: dict[str, np.ndarray], form: int) -> Split:
    """The data set that the arrays describe, raising KeyError or ValueError where they do not describe one."""
    train = Interactions(
        offsets=arrays["offsets"],
        items=arrays["items"],
        user_ids=unpacked("user_ids", arrays),
        item_ids=unpacked("item_ids", arrays),
        timestamps=arrays.get("timestamps"),
        titles=unpacked("titles", arrays) if "titles_bytes" in arrays else None,
    )
    train = replace(train, filters=_filters(arrays), dropped=_dropped(arrays, train))
    liked = (arrays["liked_offsets"], arrays["liked_items"]) if "liked_items" in arrays else None
    for offsets, items in ((train.offsets, train.items), *([liked] if liked else [])):
        _check_rows(offsets, items, train.num_users, train.num_items)
    for name, per_item in (("timestamps", train.items), ("titles", train.item_ids)):
        values = getattr(train, name)
        if values is not None and values.shape != per_item.shape:
            raise ValueError(f"{len(values)} {name} of {len(per_item)}")
    return Split(
        name=str(unpacked("name", arrays)[0]),
        train=train,
        valid=_held_out("valid", arrays, form, train),
        test=_held_out("test", arrays, form, train),
        false_negatives=liked,
    )


def _held_out(name: str, arrays: dict[str, np.ndarray], form: int, train: Interactions) -> HeldOut:
    items, negatives = arrays[name], arrays.get(f"{name}_negatives", arrays["test_negatives"])
    for held, dimensions in ((items, 1), (negatives, 2)):
        if held.ndim != dimensions:
            raise ValueError(f"an array of {held.ndim} dimensions")
        _check_items(held, train.num_items)
    if form == _LEAVES_ONE_OUT:
        part = HeldOut.one_each(items, negatives)
        if len(items) != train.num_users:
            raise ValueError(f"{len(items)} rows of {train.num_users} users")
    else:
        part = HeldOut(arrays[f"{name}_users"], arrays[f"{name}_offsets"], items, negatives)
        _check_rows(part.offsets, items, len(part.users), train.num_items)
        ascend = part.users.dtype == np.int32 and (np.diff(part.users, prepend=-1) > 0).all()
        if not ascend or part.users.max(initial=-1) >= train.num_users or (part.counts < 1).any():
            raise ValueError(f"users of {name} that there are not")
    if len(negatives) != len(part.users):
        raise ValueError(f"{len(negatives)} rows of {len(part.users)} users")
    return part


def _filters(arrays: dict[str, np.ndarray]) -> tuple[Filter, ...]:
    """What was dropped; nothing in files of former versions."""
    if "filter_counts" not in arrays:
        return ()
    return tuple(
        Filter(setting, *counts)
        for setting, counts in zip(unpacked("filters", arrays).tolist(), arrays["filter_counts"].tolist(), strict=True)
    )


def _dropped(arrays: dict[str, np.ndarray], train: Interactions) -> Interactions | None:
    """The dropped users, where there are any."""
    if "dropped_offsets" not in arrays:
        return None
    dropped = Interactions(
        offsets=arrays["dropped_offsets"],
        items=arrays["dropped_items"],
        user_ids=unpacked("dropped_user_ids", arrays),
        item_ids=train.item_ids,
    )
    _check_rows(dropped.offsets, dropped.items, dropped.num_users, dropped.num_items)
    return dropped


def _check_rows(offsets: np.ndarray, items: np.ndarray, num_users: int, num_items: int) -> None:
    rows = (len(offsets), offsets[0], offsets[-1])
    if offsets.dtype != np.int64 or rows != (num_users + 1, 0, len(items)) or (np.diff(offsets) < 0).any():
        raise ValueError("offsets do not fit the items")
    _check_items(items, num_items)


def _check_items(items: np.ndarray, num_items: int) -> None:
    if items.dtype != np.int32 or (items.size and not 0 <= items.min() <= items.max() < num_items):
        raise ValueError("an item that there is not")


_WHAT = "a saved data set"
_REMEDY = "Save the data set again, or choose the `dataset` that this file is."


def _foreign(path: AnyPath, problem: str) -> InputError:
    return InputError(f"not {_WHAT}, or damaged ({problem})", path=path, remedy=_REMEDY)
