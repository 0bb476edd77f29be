"""The folder of a result: what may be in it before, what a broken-off ingestion left, and what goes at the end."""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path

from pipelines.atomic import is_temporary, remove, write_text
from pipelines.config import DataConfig
from pipelines.errors import InputError, shown
from pipelines.ingested import ITEMS, MANIFEST, USERS
from pipelines.notices import notices
from pipelines.paths import AnyPath
from pipelines.readers.files import reading

WORK = "unfinished"
"""What lies in the folder until the manifest does."""
_SETTINGS = "settings.json"
_SHARD = re.compile(r"(users|dropped)-\d{5}-of-\d{5}\.tfrecord")


def open_work(folder: AnyPath, settings: Mapping, *, overwrite: bool) -> AnyPath:
    """Makes the folder of work, or finds that of the same settings which was broken off.

    Args:
      folder: of the result; it is there.
      settings: what the result depends on.
      overwrite: whether a data set that is there goes, or what is unfinished.

    Raises:
      InputError: the folder holds a data set, or the beginning of one with other settings, or something else.
    """
    with reading(folder):
        names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []  # a store has no empty ones
    ours = [name for name in names if _is_ours(name)]
    if MANIFEST in names and not overwrite:
        raise InputError(
            "holds an ingested data set already", path=folder, remedy="Set `overwrite`, or choose another `output_dir`."
        )
    others = [name for name in names if name not in ours and not name.startswith(".")]
    if others and not {MANIFEST, WORK} & set(names):
        raise InputError(
            f"holds other things, such as {shown(others[0])}",
            path=folder,
            remedy="Set `output_dir` to a folder that is empty or not there.",
        )
    work = folder / WORK
    content = json.dumps(settings, indent=2)
    former = _read(work / _SETTINGS) if WORK in names else None
    if former == content and not overwrite:
        notices.info(f"{folder}: goes on with what was broken off.")
        return work
    if former is not None and not overwrite:
        raise InputError(
            f"the ingestion that was broken off here had other settings ({_difference(former, settings)})",
            path=folder,
            remedy="Set `overwrite` to begin anew, or choose another `output_dir`.",
        )
    for name in sorted(ours, key=lambda name: name != MANIFEST):  # first what would vouch for the others
        _remove(folder / name)
    if isinstance(work, Path):
        work.mkdir(exist_ok=True)
    write_text(work / _SETTINGS, content)
    return work


def close_work(work: AnyPath) -> None:
    """Removes the folder of work."""
    _remove(work)


def settings_of(config: DataConfig, num_shards: int, source: object) -> dict:
    """What a result depends on: as JSON has it."""
    return json.loads(json.dumps({"data": dataclasses.asdict(config), "shards": num_shards, "source": source}))


def source_of(path: AnyPath | None) -> list:
    """What tells whether a source is still the same: of files of this machine their names, sizes and times."""
    if not isinstance(path, Path) or not path.exists():
        return []
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [[file.name, (status := file.stat()).st_size, status.st_mtime_ns] for file in files]


def _is_ours(name: str) -> bool:
    return name in (MANIFEST, USERS, ITEMS, WORK) or bool(_SHARD.fullmatch(name)) or is_temporary(name)


def _read(path: AnyPath) -> str:
    """The settings of what is unfinished; "" where the kill was before they were written."""
    try:
        return path.read_text()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _difference(former: str, settings: Mapping) -> str:
    try:
        before = json.loads(former)
        flat = [each["data"] | {"shards": each["shards"]} for each in (before, settings)]
        names = [f"`{name}`" for name in flat[1] if flat[0].get(name) != flat[1][name]]
        names += ["the files of the source"] if before["source"] != settings["source"] else []
    except (ValueError, KeyError, TypeError):
        names = []
    return ", ".join(names) or "which cannot be read"


def _remove(path: AnyPath) -> None:
    if isinstance(path, Path):
        remove(path)
    elif path.is_dir():
        path.rmtree()
    else:
        path.unlink(missing_ok=True)
