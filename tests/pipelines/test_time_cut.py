"""The split by time: nothing of after the cut reaches training, and what cannot be learnt or evaluated is told."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Interactions, Ratings
from pipelines.load import split_ratings
from pipelines.time_cut import by_time

CONFIG = DataConfig(dataset="log", split_by="time", test_share=0.2, valid_share=0.1, min_user_items=1)


def make_log(seed=0):
    """A log of 60 users, of whom the last ten come late, and 300 items, of which the last ten come late."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(60):
        late_user = user >= 50
        for item in rng.permutation(300)[: rng.integers(5, 25)]:
            time = rng.integers(900, 1000) if late_user or item >= 290 else rng.integers(0, 1000)
            rows.append((user, item, time))
    users, items, times = (np.array(column) for column in zip(*rng.permutation(rows).tolist(), strict=True))
    return Ratings(users, items + 5000, timestamps=times.astype(np.float64), source="log")


def raw(interactions):
    """The (user id, item id) pairs."""
    users = interactions.user_ids[interactions.users].tolist()
    return set(zip(users, interactions.item_ids[interactions.items].tolist(), strict=True))


def raw_held_out(split, part):
    users, items = part.pairs
    return set(zip(split.train.user_ids[users].tolist(), split.train.item_ids[items].tolist(), strict=True))


def test_parts_are_cut_at_two_times(caplog):
    log = make_log()
    split = split_ratings(log, CONFIG)
    ordered = sorted(log.timestamps)
    n = len(ordered)
    test_from = ordered[n - round(0.2 * n)]
    valid_from = ordered[n - round(0.2 * n) - round(0.1 * n)]
    rows = list(zip(log.users.tolist(), log.items.tolist(), log.timestamps.tolist(), strict=True))
    known = {user for user, _, time in rows if time < valid_from}
    assert set(split.train.user_ids.tolist()) == known
    assert 0 < len(known) < 60
    assert raw(split.train) == {(u, i) for u, i, time in rows if time < valid_from}
    expected = {(u, i) for u, i, time in rows if valid_from <= time < test_from and u in known}
    assert raw_held_out(split, split.valid) == expected
    assert raw_held_out(split, split.test) == {(u, i) for u, i, time in rows if time >= test_from and u in known}
    assert split.train.timestamps.max() < valid_from

    said = caplog.text
    gone = sum(u not in known for u, _, _ in rows)
    assert f"{60 - len(known)} user(s) have nothing before validation begins" in said
    assert f"with {gone} interaction(s)" in said
    without = [len(known) - len(part.users) for part in (split.valid, split.test)]
    assert f"Of {len(known)} users {without[0]} have no item in validation and {without[1]} none in test" in said
    seen = {i for _, i in raw(split.train)}
    cold = [sum(i not in seen for _, i in raw_held_out(split, part)) for part in (split.valid, split.test)]
    assert split.cold_held_out == tuple(cold)
    assert cold[1] > 0
    assert f"{cold[1]} of {len(split.test.items)} test items are such" in said


def test_the_catalogue_is_what_somebody_left_has():
    log = make_log()
    alone = replace(
        log, users=np.append(log.users, 77), items=np.append(log.items, 1), timestamps=np.append(log.timestamps, 999.0)
    )
    split = split_ratings(alone, CONFIG)
    assert 1 not in split.train.item_ids
    used = raw(split.train) | raw_held_out(split, split.valid) | raw_held_out(split, split.test)
    assert set(split.train.item_ids.tolist()) == {item for _, item in used}
    for part in (split.valid, split.test):
        for row, user in enumerate(part.users):
            theirs = {item for owner, item in used if owner == split.train.user_ids[user]}
            drawn = set(split.train.item_ids[part.negatives[row]].tolist())
            assert len(drawn - theirs) == 100


def test_what_comes_after_the_cut_changes_nothing_in_training():
    log = make_log()
    train = split_ratings(log, CONFIG).train
    later = log.timestamps > train.timestamps.max()
    changed = split_ratings(replace(log, items=np.where(later, log.items + 7000, log.items)), CONFIG).train
    assert raw(changed) == raw(train)
    assert changed.item_counts[changed.item_counts > 0].sum() == train.num_interactions


@pytest.mark.parametrize("duplicates", ["last", "first"])
def test_what_is_had_again_after_the_cut_stays_in_training(duplicates):
    log = make_log()
    user, item = log.users[np.argmin(log.timestamps)], log.items[np.argmin(log.timestamps)]
    again = replace(
        log,
        users=np.append(log.users, user),
        items=np.append(log.items, item),
        timestamps=np.append(log.timestamps, 999.0),
    )
    split = split_ratings(again, replace(CONFIG, duplicates=duplicates))
    assert (user, item) in raw(split.train)
    assert (user, item) not in raw_held_out(split, split.test)
    assert split.fingerprint == split_ratings(log, CONFIG).fingerprint


def test_what_cannot_be_cut_says_why():
    log = make_log()
    with pytest.raises(InputError, match=r"`split_by`=time needs timestamps.*`timestamp_column`"):
        split_ratings(replace(log, timestamps=None), CONFIG)
    for times, empty in ((np.full(len(log.users), 7.0), "training"), (np.minimum(log.timestamps, 500), "validation")):
        with pytest.raises(InputError, match=f"leaves {empty} empty: too many interactions have the time"):
            split_ratings(replace(log, timestamps=times), CONFIG)
    apart = replace(log, users=np.argsort(np.argsort(log.timestamps, kind="stable"), kind="stable") // 10)
    with pytest.raises(InputError, match=r"no user of training has an item in (validation|test)"):
        split_ratings(apart, replace(CONFIG, test_share=0.5))


def test_times_are_told_as_dates_where_they_are(caplog):
    caplog.set_level("INFO", logger="gdns_tf")
    items = np.arange(400) % 200
    at = 1_600_000_000.0 + np.arange(400) * 3600
    whole = Interactions(
        np.array([0, 200, 400]), items.astype(np.int32), np.arange(2), np.arange(400), at.reshape(200, 2).T.ravel()
    )
    by_time("made", whole, 0.1, 0.1, seed=0)
    assert f"test from {1_600_000_000 + 360 * 3600} (2020-09-28T12:26:40) on; 320, 40 and 40" in caplog.text


@pytest.mark.parametrize(
    "changes", [{"test_share": 0.0}, {"valid_share": 1.0}, {"test_share": 0.6, "valid_share": 0.4}]
)
def test_shares_that_cannot_work_are_refused(changes):
    with pytest.raises(InputError, match=r"`(test|valid)_share`"):
        DataConfig(**changes)


def test_shares_without_effect_are_told(caplog):
    log = make_log()
    split_ratings(log, DataConfig(dataset="log", test_share=0.3))
    assert "`test_share`=0.3 has no effect on `split_by`=leave_one_out" in caplog.text
