"""A generated data set whose users' true preferences are known.

Users and items have tastes, points in a space of a few dimensions, each around those of its genres. A user likes the
items with the highest inner products, a share of the catalogue that is the user's own. Exposure follows popularity and
not taste: items come before a user in an order drawn by Zipf's law, and the user takes the first few that they like. So
every interaction is liked, and a liked item without an interaction is a false negative if it is drawn as a negative.
"""

from dataclasses import replace

import numpy as np

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Interactions
from pipelines.memory import require_memory
from pipelines.paths import AnyPath
from pipelines.raw_ids import text_array
from pipelines.split import NUM_EVALUATION_NEGATIVES, Split, draw_negatives, leave_one_out

SETTINGS = ("planted_users", "planted_items", "planted_seed", "split_seed")
GENRES = (
    *("Animation", "Comedy", "Documentary", "Fantasy", "Heist", "Horror"),
    *("Musical", "Noir", "Romance", "Space", "War", "Western"),
)
MIN_POSITIVES = 6
"""Fewest items that a user takes; the mean is about 40 where the catalogue allows it."""
MAX_TAKEN = 0.75
"""Largest share of the items they like that a user takes: the rest are false negatives."""
LIKED_SHARE = (0.10, 0.25)
"""Smallest and largest share of the catalogue that a user likes."""
_DIMENSIONS = 8
_SECONDS_A_YEAR = 31_536_000
_USERS_AT_ONCE = 1024


def read(_path: AnyPath | None, config: DataConfig) -> Split:
    """`generate`, as a reader; there is no file."""
    return generate(config)


def sizes(config: DataConfig) -> tuple[int, int]:
    """The numbers of users and items, known before anything is generated."""
    return config.planted_users, config.planted_items


def generate(config: DataConfig) -> Split:
    """Generates the data set that `planted_users`, `planted_items`, `planted_seed` and `split_seed` describe.

    Interactions have times, at random within a year, so that the split is by time. Evaluation negatives are drawn from
    the items that the user truly dislikes: no model is marked down for what the user would like.

    Returns:
      The split data set with its `false_negatives`, items ascending. Items are numbered by genre; an item may be in
      no interaction.

    Raises:
      InputError: the catalogue is too small for each user to dislike as many items as evaluation needs.
    """
    num_users, num_items = config.planted_users, config.planted_items
    fewest = int(np.ceil(NUM_EVALUATION_NEGATIVES / (1 - LIKED_SHARE[1])))
    if num_items < fewest:
        raise InputError(
            f"`planted_items`={num_items} are too few for users to dislike as many as evaluation needs",
            remedy=f"Set `planted_items` to {fewest} or more.",
        )
    by = f"a planted set of {num_users:,} users and {num_items:,} items"
    needed = 4.0 * num_users * num_items + 24.0 * min(num_users, _USERS_AT_ONCE) * num_items
    require_memory(needed, by, "Lower `planted_users` or `planted_items`.")
    rng = np.random.default_rng(config.planted_seed)
    genre_tastes = rng.standard_normal((len(GENRES), _DIMENSIONS))
    item_genres = np.sort(rng.integers(len(GENRES), size=num_items))
    item_tastes = around(genre_tastes[item_genres], rng)
    # Zipf's law, flattened at its head so that no item comes before everybody.
    exposure = 1 / (6 + rng.permutation(num_items))

    liked, taken = [], []
    for start in range(0, num_users, _USERS_AT_ONCE):  # which bounds the memory that scores need
        size = min(_USERS_AT_ONCE, num_users - start)
        user_tastes = around(genre_tastes[rng.integers(len(GENRES), size=(size, 2))].mean(axis=1), rng)
        num_liked = rng.integers(*(int(share * num_items) for share in LIKED_SHARE), size=size, endpoint=True)
        liked.append(_lowest(-(user_tastes @ item_tastes.T), num_liked))
        # Heavy-tailed: the square of an exponential variable.
        num_taken = MIN_POSITIVES + (48 * rng.standard_exponential(size) ** 2).astype(np.int64)
        num_taken = np.minimum(num_taken, (MAX_TAKEN * num_liked).astype(np.int64))
        # Ordering exponential variables over weights draws without replacement in proportion to the weights.
        turn = rng.standard_exponential((size, num_items)) / exposure
        taken.append(_lowest(np.where(liked[-1], turn, np.inf), num_taken))
    liked, taken = np.concatenate(liked), np.concatenate(taken)

    offsets, items = _rows_of(taken)
    interactions = Interactions(
        offsets=offsets,
        items=items,
        user_ids=np.arange(num_users),
        item_ids=np.arange(num_items),
        timestamps=rng.integers(_SECONDS_A_YEAR, size=len(items)).astype(np.float64),
        titles=titles_by_genre(item_genres),
    )
    offsets, items = _rows_of(liked)
    all_liked = replace(interactions, offsets=offsets, items=items, timestamps=None)
    negatives = draw_negatives(all_liked, NUM_EVALUATION_NEGATIVES, config.split_seed)
    split = leave_one_out("planted", interactions, config.split_seed)
    return replace(
        split,
        valid=split.valid.with_negatives(negatives),
        test=split.test.with_negatives(negatives),
        false_negatives=_rows_of(liked & ~taken),
    )


def around(centres: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points near `centres`, in multiples of 1/64: their inner products are then exact, on any machine."""
    return np.round((centres + 0.6 * rng.standard_normal(centres.shape)) * 64) / 64


def _lowest(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """True for the `counts[row]` lowest values of each row; ties go to the earlier column."""
    rank = np.empty(values.shape, np.int64)
    np.put_along_axis(rank, np.argsort(values, axis=1, kind="stable"), np.arange(values.shape[1])[None], axis=1)
    return rank < counts[:, None]


def _rows_of(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """CSR (offsets int64, columns int32) of where a matrix is true."""
    return np.concatenate([[0], np.cumsum(mask.sum(axis=1))]), np.nonzero(mask)[1].astype(np.int32)


def titles_by_genre(item_genres: np.ndarray) -> np.ndarray:
    """Titles such as "Noir 017", counted from 1 in each genre; `item_genres` ascends."""
    numbers = np.arange(len(item_genres)) - np.searchsorted(item_genres, item_genres) + 1
    return text_array(f"{GENRES[genre]} {number:03d}" for genre, number in zip(item_genres, numbers, strict=True))
