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

_MORE = "Choose other shares (`test_share`, `valid_share`), or another `split_by`."


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
    valid_from, test_from = _cuts(interactions.timestamps, valid_share, test_share)
    known = np.unique(interactions.users[interactions.timestamps < valid_from])
    new = np.setdiff1d(np.arange(interactions.num_users), known)
    kept = interactions.drop(new) if len(new) else interactions
    times = kept.timestamps
    in_test = times >= test_from
    split = divide(name, kept, (times >= valid_from) & ~in_test, in_test, seed)
    notices.info(
        f"Split by time: validation from {_moment(valid_from)} on, test from {_moment(test_from)} on; "
        f"{split.train.num_interactions:,}, {len(split.valid.items):,} and {len(split.test.items):,} interactions."
    )
    if len(new):
        notices.warning(
            f"{len(new):,} user(s) have nothing before validation begins, so that nothing can be learnt about them: "
            f"left out of all parts, with {interactions.num_interactions - kept.num_interactions:,} interaction(s) and "
            f"{interactions.num_items - kept.num_items:,} item(s) that nobody else has. No figure speaks of such new "
            "users; a model serves them by their history."
        )
    tell_who_is_evaluated(split, _MORE)
    return split


def tell_who_is_evaluated(split: Split, remedy: str) -> None:
    """Gives notice of users without held-out items and of held-out items that nobody has in training.

    Raises:
      InputError: nobody has a held-out item in one of the parts; with this remedy.
    """
    total = split.train.num_users
    for part, name in ((split.valid, "validation"), (split.test, "test")):
        if not len(part.users):
            raise InputError(f"no user of training has an item in {name}", remedy=remedy)
    if not len(split.valid.users) == len(split.test.users) == total:
        notices.warning(
            f"Of {total:,} users {total - len(split.valid.users):,} have no item in validation and "
            f"{total - len(split.test.users):,} none in test: they are trained on, and not evaluated there."
        )
    if sum(split.cold_held_out):
        cold_valid, cold_test = split.cold_held_out
        items = np.count_nonzero(split.train.item_counts == 0)
        notices.warning(
            f"{items:,} item(s) are in nobody's training: {cold_valid:,} of {len(split.valid.items):,} validation "
            f"items and {cold_test:,} of {len(split.test.items):,} test items are such, which no model that learns "
            "from interactions can know."
        )


def no_timestamps() -> InputError:
    """The error of a split by time of what has no times."""
    return InputError(
        "`split_by`=time needs timestamps, and there are none",
        remedy="Name their column (`timestamp_column`), or set `split_by` to ratio or leave_one_out.",
    )


def _cuts(times: np.ndarray, valid_share: float, test_share: float) -> tuple[float, float]:
    """When validation and test begin."""
    ordered = np.sort(times)
    tests, valids = (max(round(len(times) * share), 1) for share in (test_share, valid_share))
    places = np.maximum(len(times) - tests - np.array([valids, 0]), 0)
    valid_from, test_from = ordered[places].tolist()
    if not ordered[0] < valid_from < test_from:
        empty = "training" if ordered[0] == valid_from else "validation"
        raise InputError(
            f"a split by time leaves {empty} empty: too many interactions have the time {_moment(valid_from)}",
            remedy=_MORE,
        )
    return valid_from, test_from


def _moment(seconds: float) -> str:
    """A time as it stands in the data and, where seconds since 1970 make it a date of these decades, as that."""
    number = f"{seconds:.3f}".rstrip("0").rstrip(".")
    return f"{number} ({np.datetime64(int(seconds), 's')})" if 10**8 < seconds < 10**10 else number
