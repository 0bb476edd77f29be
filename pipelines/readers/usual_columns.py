"""Which column of a table is which, by the names that such columns usually have; the same for files and DataFrames.

A name counts whatever its case and without what is neither a letter nor a digit: `user_id`, `userId` and `User ID` are
one. A column is taken where it is the only one: whoever has two of a kind must say which is meant.
"""

from collections.abc import Sequence
from dataclasses import replace

from pipelines.config import COLUMNS, DEFAULT_COLUMNS, DataConfig
from pipelines.errors import InputError
from pipelines.notices import notices

_USUAL: dict[str, tuple[str, ...]] = {
    "user_column": (
        *("userid", "user", "uid", "customerid", "customer", "reviewerid", "visitorid", "memberid", "accountid"),
        *("sessionid", "session"),
    ),
    "item_column": (
        *("itemid", "item", "movieid", "movie", "productid", "product", "sku", "asin", "bookid", "book", "isbn"),
        *("songid", "song", "trackid", "track", "artistid", "artist", "articleid", "article", "videoid", "video"),
        *("gameid", "game", "businessid"),
    ),
    "rating_column": ("rating", "ratings", "userrating", "starrating", "stars", "score", "overall"),
    "timestamp_column": (
        *("timestamp", "ts", "time", "datetime", "date", "eventtime", "createdat", "unixtime", "unixreviewtime"),
        *("reviewdate",),
    ),
    "title_column": ("title", "itemtitle", "itemname", "movietitle", "producttitle", "productname", "booktitle"),
}
_SESSIONS = ("sessionid", "session")
"""Users only where there is no other column of them."""


def recognised(config: DataConfig, names: Sequence[object], source: object, remedy: str = "") -> DataConfig:
    """The settings with a column for each column setting that is empty and whose column is plain.

    Args:
      config: the settings; those that name a column stay.
      names: the columns of the table.
      source: the table, for error messages.
      remedy: what to do where users or items are not found, if more is known of why.

    Raises:
      InputError: no column, or more than one, could be that of the users or the items; or more than one that of the
        ratings or the times, on which the result depends.

    Example:
      recognised(DataConfig(dataset="table"), ["userId", "movieId", "rating"], "ratings.csv")
      # user_column="userId", item_column="movieId", rating_column="rating"
    """
    found = {}
    for setting in COLUMNS:
        if getattr(config, setting):
            continue
        candidates = _candidates(setting, names)
        if len(candidates) == 1:
            found[setting] = candidates[0]
        elif candidates and setting == "title_column":
            notices.info(f"{source}: {listed(candidates)} may hold titles, and none is read: set `{setting}` to one.")
        elif candidates or setting in DEFAULT_COLUMNS:
            problem = f"{listed(candidates)} may each be" if candidates else f"no column of {listed(names)} is plainly"
            meant = f"Set `{setting}` to the one that is meant."
            names_wanted = " If these are values and no names, put a line of names before them."
            raise InputError(
                f"{problem} the `{setting}`",
                path=str(source),
                remedy=meant if candidates else remedy or meant + names_wanted,
            )
    return replace(config, **found)


def overlooked(config: DataConfig, names: Sequence[object]) -> dict[str, str]:
    """Column settings that are empty, and for each the one column that would be recognised."""
    found = {setting: _candidates(setting, names) for setting in COLUMNS if not getattr(config, setting)}
    return {setting: candidates[0] for setting, candidates in found.items() if len(candidates) == 1}


def _candidates(setting: str, names: Sequence[object]) -> list[str]:
    """The columns whose names are usual for the setting; `product` is none beside `product_id`: it may be a name."""
    texts = [name for name in names if isinstance(name, str) and name == name.strip()]
    plain = {name: "".join(letter for letter in name.lower() if letter.isalnum()) for name in texts}
    usual = {name: word for name, word in plain.items() if word in _USUAL[setting]}
    words = set(usual.values())
    if not words <= set(_SESSIONS):
        words -= set(_SESSIONS)
    return [name for name, word in usual.items() if word in words and f"{word}id" not in words]


def listed(names: Sequence[object]) -> str:
    """Names of columns as a list, of which the first fifty are enough, and of each the first characters."""
    return str([f"{name[:37]}..." if isinstance(name, str) and len(name) > 40 else name for name in names[:50]])
