"""The leave-one-out rule, evaluation negatives and fingerprint."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Interactions
from pipelines.readers.planted import generate
from pipelines.split import by_ratio, draw_negatives, leave_one_out


def make_interactions(counts, num_items, seed=0, timed=True):
    """Users with `counts` random items each, with many ties in time."""
    rng = np.random.default_rng(seed)
    items = np.concatenate([rng.permutation(num_items)[:count] for count in counts])
    return Interactions(
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        items=items.astype(np.int32),
        user_ids=np.arange(len(counts)) + 1000,
        item_ids=np.arange(num_items) + 5000,
        timestamps=rng.integers(0, 6, len(items)).astype(np.float64) if timed else None,
    )


def test_latest_is_test_and_the_one_before_validation():
    whole = make_interactions([3, 12, 30, 3, 7], 150)
    split = leave_one_out("made", whole, seed=0)
    for user in range(whole.num_users):
        rows = range(whole.offsets[user], whole.offsets[user + 1])
        # Python's sort is stable: among equals the earlier row of the source stays in front.
        latest_first = sorted(rows, key=lambda row: -whole.timestamps[row])
        assert split.test.items[user] == whole.items[latest_first[0]]
        assert split.valid.items[user] == whole.items[latest_first[1]]
        rest = [whole.items[row] for row in rows if row not in latest_first[:2]]
        assert split.train.of(user).tolist() == rest
    assert split.train.num_interactions == len(split.train.timestamps) == 55 - 10


def test_ties_go_to_the_earlier_row():
    whole = make_interactions([5], 120)
    whole = replace(whole, items=np.array([7, 3, 9, 4, 1], np.int32), timestamps=np.array([2.0, 8.0, 8.0, 8.0, 5.0]))
    split = leave_one_out("made", whole, seed=0)
    assert (split.test.items[0], split.valid.items[0]) == (3, 9)
    assert split.train.of(0).tolist() == [7, 4, 1]


def test_without_timestamps_the_split_is_random_but_seeded():
    whole = make_interactions([20] * 400, 130, timed=False)
    split, again, other = (leave_one_out("made", whole, seed=seed) for seed in (3, 3, 4))
    assert split.fingerprint == again.fingerprint
    assert (split.test.items != other.test.items).mean() > 0.5
    place = [whole.of(user).tolist().index(split.test.items[user]) for user in range(400)]
    assert stats.chisquare(np.bincount(place, minlength=20)).pvalue > 0.001
    for user in range(400):
        parts = [*split.train.of(user), *split.valid.of(user), *split.test.of(user)]
        assert sorted(parts) == sorted(whole.of(user))


def test_too_few_items_for_a_split_names_the_user_and_the_flag():
    with pytest.raises(InputError, match=r"user 1001 has 2 item\(s\), and 1 other .*`min_user_items`"):
        leave_one_out("made", make_interactions([5, 2, 1, 4], 120), seed=0)


def test_negatives_are_unobserved_and_without_repeats():
    whole = make_interactions([3, 60, 137, 150], 250)
    negatives = draw_negatives(whole, 100, seed=1)
    assert negatives.shape == (4, 100)
    assert negatives.dtype == np.int32
    for user in range(4):
        drawn = set(negatives[user].tolist())
        assert len(drawn) == 100
        assert drawn <= set(range(250)) - set(whole.of(user).tolist())
    # The last user has exactly 100 items left.
    assert set(negatives[3].tolist()) == set(range(250)) - set(whole.of(3).tolist())
    assert (draw_negatives(whole, 100, seed=1) == negatives).all()
    assert (draw_negatives(whole, 100, seed=2) != negatives).any()


def test_negatives_never_hold_a_held_out_item():
    whole = make_interactions([140] * 30, 250)
    split = leave_one_out("made", whole, seed=0)
    held_out = np.stack([split.valid.items, split.test.items], axis=1)
    assert not (split.test.negatives[:, :, None] == held_out[:, None, :]).any()
    assert (split.valid.negatives == split.test.negatives).all()


def test_negatives_are_uniform_over_the_unobserved():
    num_users, num_items = 6000, 12
    whole = replace(
        make_interactions([4] * num_users, num_items),
        items=np.tile(np.array([0, 3, 4, 11], np.int32), num_users),
    )
    negatives = draw_negatives(whole, 3, seed=5)
    unobserved = [1, 2, 5, 6, 7, 8, 9, 10]
    assert np.isin(negatives, unobserved).all()
    sets, counts = np.unique(np.sort(negatives, axis=1), axis=0, return_counts=True)
    assert len(sets) == 56, "each of the 8 choose 3 sets"
    assert stats.chisquare(counts).pvalue > 0.001


def test_too_few_unobserved_items_names_the_user():
    with pytest.raises(InputError, match=r"user 1001 has 99 unobserved item\(s\) of 200"):
        draw_negatives(make_interactions([100, 101, 50], 200), 100, seed=0)


def test_fingerprint_changes_with_every_part():
    split = leave_one_out("made", make_interactions([5, 6, 7], 120), seed=0)

    def other(array):
        array = array.copy()
        array[-1] += 1
        return array

    changed = []
    for part in ("valid", "test"):
        held_out = getattr(split, part)
        others = [replace(held_out, **{name: other(getattr(held_out, name))}) for name in ("items", "negatives")]
        fewer = held_out.select(np.arange(2), 3)
        changed += [replace(split, **{part: each}) for each in (*others, fewer, replace(fewer, users=fewer.users + 1))]
    for part in ("items", "user_ids", "item_ids"):
        changed.append(replace(split, train=replace(split.train, **{part: other(getattr(split.train, part))})))
    offsets = split.train.offsets.copy()
    offsets[1] += 1
    changed.append(replace(split, train=replace(split.train, offsets=offsets)))
    assert len({each.fingerprint for each in (split, *changed)}) == len(changed) + 1


def test_fingerprint_tells_where_user_ids_end_and_item_ids_begin():
    split = leave_one_out("made", make_interactions([5, 6], 110), seed=0)
    items = [str(item) for item in range(110)]

    def fingerprint(last_user, first_item):
        ids = {"user_ids": np.array(["a", last_user]), "item_ids": np.array([first_item, *items[1:]])}
        return replace(split, train=replace(split.train, **ids)).fingerprint

    assert fingerprint("b", "cd") != fingerprint("bc", "d")


def test_fingerprint_does_not_depend_on_the_process_or_the_memory_layout():
    code = "from pipelines.config import DataConfig; from pipelines.readers.planted import generate; "
    code += "print(generate(DataConfig(planted_users=40, planted_items=150)).fingerprint)"
    printed = set()
    for hash_seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
        )
        printed.add(run.stdout)
    assert len(printed) == 1
    split = leave_one_out("made", make_interactions([5, 6, 7], 120), seed=0)
    valid = split.valid.with_negatives(np.asfortranarray(split.valid.negatives))
    assert replace(split, valid=valid).fingerprint == split.fingerprint


def test_fingerprints_of_former_versions_hold():
    """Runs, models and exports that were made before users could have several held-out items know their data by it."""
    assert generate(DataConfig(planted_users=40, planted_items=150)).fingerprint == "7674cf3ae118c567"


@pytest.mark.parametrize("timed", [True, False])
def test_by_ratio_the_latest_shares_of_each_user_are_held_out(timed):
    whole = make_interactions([3, 12, 30, 100, 7, 29], 250, timed=timed)
    split = by_ratio("made", whole, 0.29, 0.1, seed=4)
    assert split.test.counts.tolist() == [1, 1, 3, 10, 1, 2]
    assert split.valid.counts.tolist() == [1, 3, 8, 29, 2, 8]
    assert split.train.counts.tolist() == [1, 8, 19, 61, 4, 19]
    for user in range(6):
        rows = range(whole.offsets[user], whole.offsets[user + 1])
        parts = [split.train.of(user).tolist(), split.valid.of(user).tolist(), split.test.of(user).tolist()]
        assert sorted(item for part in parts for item in part) == sorted(whole.of(user))
        if timed:
            latest_first = sorted(rows, key=lambda row: -whole.timestamps[row])
            tests, valids = len(parts[2]), len(parts[1])
            assert set(parts[2]) == {whole.items[row] for row in latest_first[:tests]}
            assert set(parts[1]) == {whole.items[row] for row in latest_first[tests : tests + valids]}
    assert split.fingerprint == by_ratio("made", whole, 0.29, 0.1, seed=4).fingerprint
    assert (split.fingerprint == by_ratio("made", whole, 0.29, 0.1, seed=5).fingerprint) is False


@pytest.mark.parametrize("shares", [(0.01, 0.98), (0.98, 0.01), (0.49, 0.5)])
def test_by_ratio_each_part_keeps_an_item_of_every_user(shares):
    counts = [3, 4, 5, 9]
    split = by_ratio("made", make_interactions(counts, 120), *shares, seed=0)
    parts = np.stack([split.train.counts, split.valid.counts, split.test.counts])
    assert parts.min() == 1
    assert parts.sum(axis=0).tolist() == counts


def test_small_shares_are_leave_one_out():
    whole = make_interactions([3, 12, 30, 7], 150)
    assert by_ratio("made", whole, 0.01, 0.01, seed=2).fingerprint == leave_one_out("made", whole, seed=2).fingerprint


def test_no_part_of_a_user_is_among_the_negatives():
    whole = make_interactions([90, 20, 30], 250)
    split = by_ratio("made", whole, 0.2, 0.4, seed=0)
    for user in range(3):
        for part in (split.valid, split.test):
            assert len(set(part.negatives[user].tolist()) - set(whole.of(user).tolist())) == 100


def test_statistics_and_cold_items():
    whole = make_interactions([3, 3, 4], 150)
    items = np.array([0, 1, 2, 0, 2, 3, 2, 3, 0, 4], np.int32)
    split = leave_one_out("made", replace(whole, items=items, timestamps=np.arange(10.0)), seed=0)
    # Tests: 2, 3, 4. Validation: 1, 2, 0. Training: {0}, {0}, {2, 3}.
    assert split.statistics() == {"#User": 3, "#Item": 150, "#Train": 4, "#Valid": 3, "#Test": 3}
    assert split.cold_held_out == (1, 1)


@pytest.mark.parametrize(
    "split", [lambda w: leave_one_out("made", w, seed=0), lambda w: by_ratio("made", w, 0.2, 0.3, seed=0)]
)
def test_all_interactions_are_those_that_were_split(split):
    whole = make_interactions([3, 12, 30], 150)
    together = split(whole).all_interactions()
    assert together.offsets.tolist() == whole.offsets.tolist()
    for user in range(3):
        assert set(together.of(user).tolist()) == set(whole.of(user).tolist())
    assert together.items.dtype == np.int32
    assert together.timestamps is None
    before_test = split(whole).seen_before("test")
    for user in range(3):
        assert set(before_test.of(user)) == set(whole.of(user)) - set(split(whole).test.of(user))
