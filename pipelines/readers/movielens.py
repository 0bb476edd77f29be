"""GroupLens's MovieLens releases: ml-1m, ml-100k, ml-20m, ml-25m and ml-32m.

`data_dir` may be the ratings file, a folder that holds it (itself, in a folder of the release's name, or in the
release's zip) or the zip. Where it is empty, or a folder without the data, the zip is downloaded to the cache folder.
Item titles come from the movies file beside the ratings. Rows keep the order of the file: the split's rule for ties
in time depends on it.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipelines.config import FILTERS, DataConfig
from pipelines.download import cache_folder, fetch
from pipelines.errors import InputError
from pipelines.interactions import Ratings
from pipelines.paths import AnyPath
from pipelines.raw_ids import MAX_ID
from pipelines.readers.delimited import Format, read_columns
from pipelines.readers.files import Source, require_given, zip_members
from pipelines.readers.kinds import INTEGER_ID, RATING, SECONDS

SETTINGS = ("data_dir", *FILTERS)
_INTEGER = re.compile("[0-9]{1,19}")
_BASE_URL = "https://files.grouplens.org/datasets/movielens"


@dataclass(frozen=True)
class Release:
    """Where a release keeps what."""

    ratings: str
    movies: str
    form: Format
    columns: tuple[str, str, str, str]
    """The ratings file's names for user, item, rating and timestamp."""
    movies_delimiter: str
    checksum: str
    """MD5 of the zip, as GroupLens publishes it."""


_NAMES = ("user", "item", "rating", "timestamp")
_CSV_NAMES = ("userId", "movieId", "rating", "timestamp")


def _csv_release(checksum: str) -> Release:
    return Release("ratings.csv", "movies.csv", Format(",", quoted=True), _CSV_NAMES, ",", checksum)


RELEASES = {
    "ml-1m": Release(
        "ratings.dat",
        "movies.dat",
        Format(":", ("user", "", "item", "", "rating", "", "timestamp")),
        _NAMES,
        "::",
        "c4d9eecfca2ab87c1945afe126590906",
    ),
    "ml-100k": Release("u.data", "u.item", Format("\t", _NAMES), _NAMES, "|", "0e33842e24a9c977be4e0107933c0723"),
    "ml-20m": _csv_release("cd245b17a1ae2cc31bb14903e1204af3"),
    "ml-25m": _csv_release("6b51fb2759a8657d3bfcbfc42b592ada"),
    "ml-32m": _csv_release("d472be332d4daa821edc399621853b57"),
}


def recognise(path: AnyPath) -> str:
    """The release that a file or folder plainly is; "" if it is none, or if it may be several.

    A `ratings.csv` is that of a release where its folder has the release's name.
    """
    if path.suffix == ".zip":
        members = [member.filename for member in zip_members(path)]
        found = [name for name, of in RELEASES.items() if path.stem == name or f"{name}/{of.ratings}" in members]
    elif path.is_dir():
        found = [name for name, release in RELEASES.items() if _holds(path, name, release)]
    else:
        found = [name for name, release in RELEASES.items() if _is_ratings(path, name, release)]
    return found[0] if len(found) == 1 else ""


def _holds(folder: AnyPath, name: str, release: Release) -> bool:
    inside = folder / release.ratings, folder / name / release.ratings, folder / f"{name}.zip"
    return _is_ratings(inside[0], name, release) or any(file.is_file() for file in inside[1:])


def _is_ratings(path: AnyPath, name: str, release: Release) -> bool:
    own_name = sum(other.ratings == release.ratings for other in RELEASES.values()) == 1
    return path.name == release.ratings and path.is_file() and (own_name or path.parent.name == name)


def read(path: AnyPath | None, config: DataConfig) -> Ratings:
    """Reads the release that `config.dataset` names.

    Returns:
      `Ratings` with int64 ids, float32 ratings, float64 timestamps and, where the movies file is there, titles.

    Raises:
      InputError: `path` does not exist, a line is malformed, an archive is damaged, or the download fails.
    """
    name, release = config.dataset, RELEASES[config.dataset]
    ratings, movies = _locate(path, name, release)
    columns = dict(zip(release.columns, (INTEGER_ID, INTEGER_ID, RATING, SECONDS), strict=True))
    users, items, grades, timestamps = read_columns(ratings, release.form, columns).values()
    titles = dict(_titles(movies, release.movies_delimiter)) if movies else {}
    return Ratings(users, items, grades, timestamps, titles, source=str(ratings))


def _locate(path: AnyPath | None, name: str, release: Release) -> tuple[Source, Source | None]:
    """The ratings file and, where there is one, the movies file."""
    archive = f"{name}.zip"
    if path is None:
        return _in_zip(_download(archive, release, f"Put {archive} somewhere and set `data_dir` to it."), release)
    require_given(path, f"{release.ratings}, its folder or {archive}, or leave it out to download")
    if not path.is_dir():
        return _in_zip(path, release) if path.suffix == ".zip" else _beside(path, release)
    for folder in (path, path / name):
        if (folder / release.ratings).exists():
            return _beside(folder / release.ratings, release)
    if (path / archive).exists():
        return _in_zip(path / archive, release)
    remedy = f"Put {release.ratings} or {archive} into {path}; neither is there."
    return _in_zip(_download(archive, release, remedy), release)


def _download(archive: str, release: Release, remedy: str) -> AnyPath:
    return fetch(f"{_BASE_URL}/{archive}", release.checksum, cache_folder() / archive, remedy=remedy)


def _beside(ratings: AnyPath, release: Release) -> tuple[Source, Source | None]:
    movies = ratings.with_name(release.movies)
    return Source(ratings), Source(movies) if movies.exists() else None


def _in_zip(archive: AnyPath, release: Release) -> tuple[Source, Source | None]:
    members = [member.filename for member in zip_members(archive)]
    ratings, movies = (_only_member(archive, members, name) for name in (release.ratings, release.movies))
    if not ratings:
        raise InputError(
            f"no {release.ratings} in this zip; there are {sorted(members)[:10]}",
            path=archive,
            remedy="Check that `dataset` and `data_dir` belong together.",
        )
    return Source(archive, ratings), Source(archive, movies) if movies else None


def _only_member(archive: AnyPath, members: list[str], name: str) -> str:
    """The one file of this name, in whatever folder; "" where there is none."""
    found = [member for member in members if PurePosixPath(member).name == name and not member.endswith("/")]
    if len(found) > 1:
        raise InputError(
            f"this zip holds {len(found)} files {name}: {found[:10]}",
            path=archive,
            remedy="Unpack it, and set `data_dir` to the folder that is meant.",
        )
    return found[0] if found else ""


def _titles(movies: Source, delimiter: str) -> Iterator[tuple[int, str]]:
    """Movie ids and titles. The older releases are Latin-1, but copies of them that became UTF-8 go about."""
    for number, row in _rows(movies, delimiter):
        if not "".join(row).strip() or row[:2] == ["movieId", "title"]:
            continue
        if len(row) < 2 or not _INTEGER.fullmatch(row[0]) or int(row[0]) > MAX_ID:
            raise InputError(
                f"{delimiter.join(row)[:80]!r} has not the form id{delimiter}title{delimiter}...",
                path=movies,
                line=number,
                remedy="Correct the line, or move the file away to do without titles.",
            )
        yield int(row[0]), row[1].rstrip("\r\n")


def _rows(movies: Source, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The number of each row's line, its last one, and its values."""
    lines, number = movies.lines("utf-8", "latin-1"), 0

    def texts() -> Iterator[str]:
        nonlocal number
        for number, text in lines:  # noqa: B007
            yield text

    rows: Iterable[list[str]] = csv.reader(texts()) if delimiter == "," else (line.split(delimiter) for line in texts())
    try:
        for row in rows:
            yield number, row
    except csv.Error as error:
        remedy = "Correct the line, or move the file away to do without titles."
        raise InputError(f"not a row of values ({error})", path=movies, line=number, remedy=remedy) from None
