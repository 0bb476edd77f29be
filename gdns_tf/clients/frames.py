"""Answers as pandas DataFrames; pandas is imported when the first one is made."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gdns_tf.clients.results import Ranking, Recommendations

if TYPE_CHECKING:
    import pandas as pd


def frame_of_users(answer: Recommendations) -> "pd.DataFrame":
    """A row for each item recommended to a user."""
    return _lists("user", answer.queries, answer, known=answer.known)


def frame_of_histories(answer: Recommendations) -> "pd.DataFrame":
    """A row for each item recommended for a history, which is named by its place."""
    places = np.arange(len(answer))
    return _lists("history", places, answer, known=answer.known, num_unknown=answer.num_unknown)


def frame_of_items(answer: Recommendations) -> "pd.DataFrame":
    """A row for each item that is like one that was asked about."""
    return _lists("query_item", answer.queries, answer)


def frame_of_ranking(answer: Ranking) -> "pd.DataFrame":
    """A row for each user and item, in the order in which they were named."""
    width, items = answer.items.shape[1], answer.items.ravel()
    return _frame(
        user=np.repeat(answer.queries, width),
        item=items,
        title=_titles(items, answer.titles),
        score=np.where(answer.known_item, answer.scores, np.float32(np.nan)).ravel(),
        known=np.repeat(answer.known_user, width),
    )


def _lists(query_column: str, queries: np.ndarray, answer: Recommendations, **of_queries: np.ndarray) -> "pd.DataFrame":
    """The lists of all queries one below the other, with what is said of each query on all of its rows."""
    rows, places = np.nonzero(answer.items != answer.padding)
    items = answer.items[rows, places]
    if answer.because is not None:
        reasons = [answer.reasons(row, place) for row, place in zip(rows.tolist(), places.tolist(), strict=True)]
        because = _objects([[reason.item for reason in of_item] for of_item in reasons])
        adds = _objects([[reason.contribution for reason in of_item] for of_item in reasons])
        of_items = {"because": because, "contributions": adds}
    else:
        of_items = {}
    return _frame(
        **{query_column: queries[rows]},
        rank=places + 1,
        item=items,
        title=_titles(items, answer.titles),
        score=answer.scores[rows, places],
        **{name: values[rows] for name, values in of_queries.items()},
        **of_items,
    )


def _titles(items: np.ndarray, titles: Mapping) -> np.ndarray:
    """[n] str objects, None where no title is known."""
    return _objects([titles.get(item) for item in items.tolist()])


def _objects(values: list) -> np.ndarray:
    """[n] objects, lists too."""
    made = np.empty(len(values), object)
    for place, value in enumerate(values):
        made[place] = value
    return made


def _frame(**columns: np.ndarray) -> "pd.DataFrame":
    """The columns with their arrays' dtypes: pandas would guess those of objects, and otherwise for empty ones."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series(values, dtype=values.dtype) for name, values in columns.items()})
