"""The split by time: training knows nothing of what came after a moment that is the same for all users.

A split that holds out each user's latest item lets training see what other users did after it, which no model in life
does, and rates models too high (Ji et al., "A Critical Study on Data Leakage in Recommender System Offline Evaluation",
ACM TOIS 2023).
"""

import numpy as np

from pipelines.errors import InputError
from pipelines.interactions import Interactions
from pipelines.notices import notices
from pipelines.split import Split, divide

REMEDY = "Choose other shares (`test_share`, `valid_share`), or another `split_by`."


def by_time(name: str, interactions: Interactions, valid_share: float, test_share: float, seed: int) -> Split:
    """Holds out the last stretch of time for test and the one before it for validation, the rest is training.

    The stretches begin at the times from which on there are about `test_share`, and `valid_share` before that, of all
    interactions; what happens at the very time of a cut lies after it. Users without training items cannot be learnt
    about: they are dropped, with the items that nobody else has, and served by their history.
    Users with nothing in a stretch are not evaluated there. Items that are new after the cut stay in the catalogue,
    unknown to training. Notices say how many there are of each.

    Raises:
      InputError: there are no timestamps, a part is empty, or 100 negatives cannot be drawn for a user.
    """
    if interactions.timestamps is None:
        raise no_timestamps()
    ordered = np.sort(interactions.timestamps)
    first, *cuts = ordered[cut_places(len(ordered), valid_share, test_share)].tolist()
    valid_from, test_from = checked_cuts(first, *cuts)
    known = np.unique(interactions.users[interactions.timestamps < valid_from])
    new = np.setdiff1d(np.arange(interactions.num_users), known)
    kept = interactions.drop(new) if len(new) else interactions
    times = kept.timestamps
    in_test = times >= test_from
    split = divide(name, kept, (times >= valid_from) & ~in_test, in_test, seed)
    tell_cuts(valid_from, test_from, split.train.num_interactions, len(split.valid.items), len(split.test.items))
    if len(new):
        gone = interactions.num_interactions - kept.num_interactions, interactions.num_items - kept.num_items
        tell_new_users(len(new), *gone)
    tell_who_is_evaluated(split, REMEDY)
    return split


def tell_who_is_evaluated(split: Split, remedy: str) -> None:
    """Gives notice of users without held-out items and of held-out items that nobody has in training.

    Raises:
      InputError: nobody has a held-out item in one of the parts; with this remedy.
    """
    evaluated = len(split.valid.users), len(split.test.users)
    held_out = len(split.valid.items), len(split.test.items)
    cold_items = int(np.count_nonzero(split.train.item_counts == 0))
    tell_evaluated(split.train.num_users, evaluated, held_out, split.cold_held_out, cold_items, remedy)


def tell_evaluated(
    num_users: int,
    evaluated: tuple[int, int],
    held_out: tuple[int, int],
    cold_held_out: tuple[int, int],
    cold_items: int,
    remedy: str,
) -> None:
    """`tell_who_is_evaluated` by counts.

    Args:
      num_users: of training.
      evaluated: users with an item in validation, and in test.
      held_out: items of validation, and of test.
      cold_held_out: those of them that nobody has in training.
      cold_items: different items that nobody has in training.
      remedy: for the error.
    """
    for users, name in zip(evaluated, ("validation", "test"), strict=True):
        if not users:
            raise InputError(f"no user of training has an item in {name}", remedy=remedy)
    if not evaluated[0] == evaluated[1] == num_users:
        notices.warning(
            f"Of {num_users:,} users {num_users - evaluated[0]:,} have no item in validation and "
            f"{num_users - evaluated[1]:,} none in test: they are trained on, and not evaluated there."
        )
    if sum(cold_held_out):
        notices.warning(
            f"{cold_items:,} item(s) are in nobody's training: {cold_held_out[0]:,} of {held_out[0]:,} validation "
            f"items and {cold_held_out[1]:,} of {held_out[1]:,} test items are such, which no model that learns "
            "from interactions can know."
        )


def no_timestamps() -> InputError:
    """The error of a split by time of what has no times."""
    return InputError(
        "`split_by`=time needs timestamps, and there are none",
        remedy="Name their column (`timestamp_column`), or set `split_by` to ratio or leave_one_out.",
    )


def tell_cuts(valid_from: float, test_from: float, num_train: int, num_valid: int, num_test: int) -> None:
    """Gives notice of where the parts begin, and how many interactions each has."""
    notices.info(
        f"Split by time: validation from {_moment(valid_from)} on, test from {_moment(test_from)} on; "
        f"{num_train:,}, {num_valid:,} and {num_test:,} interactions."
    )


def tell_new_users(users: int, interactions: int, items: int) -> None:
    """Gives notice of users who come after the cut only, and of what goes with them."""
    notices.warning(
        f"{users:,} user(s) have nothing before validation begins, so that nothing can be learnt about them: "
        f"left out of all parts, with {interactions:,} interaction(s) and {items:,} item(s) that nobody else has. No "
        "figure speaks of such new users; a model serves them by their history."
    )


def cut_places(count: int, valid_share: float, test_share: float) -> list[int]:
    """Where in the ordered times of so many interactions stand the first one and those at which the parts begin."""
    tests, valids = (max(round(count * share), 1) for share in (test_share, valid_share))
    return [0, max(count - tests - valids, 0), max(count - tests, 0)]


def checked_cuts(first: float, valid_from: float, test_from: float) -> tuple[float, float]:
    """When validation and test begin, where neither training nor validation is empty then.

    Raises:
      InputError: one of them is.
    """
    if not first < valid_from < test_from:
        empty = "training" if first == valid_from else "validation"
        raise InputError(
            f"a split by time leaves {empty} empty: too many interactions have the time {_moment(valid_from)}",
            remedy=REMEDY,
        )
    return valid_from, test_from


def _moment(seconds: float) -> str:
    """A time as it stands in the data and, where seconds since 1970 make it a date of these decades, as that."""
    number = f"{seconds:.3f}".rstrip("0").rstrip(".")
    return f"{number} ({np.datetime64(int(seconds), 's')})" if 10**8 < seconds < 10**10 else number
