"""from_ratings against an implementation with dictionaries and lists."""

from collections import Counter

import numpy as np
import pytest

from pipelines.errors import InputError
from pipelines.interactions import Filter, Ratings, from_ratings


def brute_force(ratings, min_rating, min_user_items, min_item_users, duplicates):
    """Returns {user: {item: time}} in order of first appearance, and the items in that order."""
    rows = []
    for row in range(len(ratings.users)):
        if ratings.ratings is None or ratings.ratings[row] >= min_rating:
            time = 0 if ratings.timestamps is None else ratings.timestamps[row]
            rows.append((row, ratings.users[row], ratings.items[row], time))
    chosen = {}
    for row, user, item, time in rows:
        old = chosen.get((user, item))
        if old is None or (time >= old[1] if duplicates == "last" else time < old[1]):
            chosen[user, item] = (row, time)
    rows = [r for r in rows if chosen[r[1], r[2]][0] == r[0]]
    while True:
        per_user, per_item = Counter(r[1] for r in rows), Counter(r[2] for r in rows)
        left = [r for r in rows if per_user[r[1]] >= min_user_items and per_item[r[2]] >= min_item_users]
        if len(left) == len(rows):
            break
        rows = left
    by_user, items = {}, {}
    for _, user, item, time in rows:
        by_user.setdefault(user, {})[item] = time
        items[item] = len(items) if item not in items else items[item]
    return by_user, list(items)


def random_ratings(seed, *, graded=True, timed=True, text=False):
    rng = np.random.default_rng(seed)
    # Squares are skewed, so that the filters have something to drop and something to keep.
    users, items = 100 + (40 * rng.random(800) ** 2).astype(int), 7 + (60 * rng.random(800) ** 2).astype(int)
    if text:
        users, items = users.astype(str), np.char.add("i", items.astype(str))
    return Ratings(
        users=users,
        items=items,
        ratings=rng.integers(1, 6, 800).astype(np.float32) if graded else None,
        timestamps=rng.integers(0, 20, 800).astype(np.float64) if timed else None,
        titles={item: f"Film {item}" for item in items.tolist()[::2]},
        source="made up",
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("duplicates", ["last", "first"])
@pytest.mark.parametrize(("graded", "timed", "text"), [(True, True, False), (True, False, True), (False, True, True)])
@pytest.mark.parametrize(("min_user_items", "min_item_users"), [(1, 1), (6, 1), (7, 4)])
def test_equals_brute_force(seed, duplicates, graded, timed, text, min_user_items, min_item_users):
    ratings = random_ratings(seed, graded=graded, timed=timed, text=text)
    wanted, wanted_items = brute_force(ratings, 3, min_user_items, min_item_users, duplicates)
    assert wanted_items, "or else nothing is compared"
    found = from_ratings(
        ratings,
        min_rating=3,
        min_user_items=min_user_items,
        min_item_users=min_item_users,
        duplicates=duplicates,
    )
    assert found.user_ids.tolist() == list(wanted)
    assert found.item_ids.tolist() == wanted_items
    assert found.titles.tolist() == [ratings.titles.get(item, str(item)) for item in wanted_items]
    assert (found.timestamps is not None) == timed
    for number, of_user in enumerate(wanted.values()):
        assert found.item_ids[found.of(number)].tolist() == list(of_user)
        if timed:
            times = found.timestamps[found.offsets[number] : found.offsets[number + 1]]
            assert times.tolist() == list(of_user.values())
    assert found.offsets.dtype == np.int64
    assert found.items.dtype == np.int32
    # The dropped: all others who have items that are left, by the same filters without those of users and items.
    everybody, _ = brute_force(ratings, 3, 1, 1, duplicates)
    others = {user: [item for item in have if item in wanted_items] for user, have in everybody.items()}
    others = {user: have for user, have in others.items() if have and user not in wanted}
    assert found.num_dropped_users == len(others)
    if found.dropped:
        assert {
            user: found.item_ids[found.dropped.of(number)].tolist()
            for number, user in enumerate(found.dropped.user_ids.tolist())
        } == others
        assert max(map(len, others.values())) < min_user_items, "the core is the largest there is"
    assert sum(each.rows for each in found.filters) == len(ratings.users) - found.num_interactions
    assert sum(each.users for each in found.filters) == len(set(ratings.users.tolist())) - found.num_users
    assert sum(each.items for each in found.filters) == len(set(ratings.items.tolist())) - found.num_items


def test_k_core_goes_on_to_a_fixed_point():
    # A chain: without user 0 (one item), item 0 has one user; without item 0, user 1 has one item; and so on.
    users = np.array([0, 1, 1, 2, 2, 3, 3, 8, 8, 9, 9])
    items = np.array([0, 0, 1, 1, 2, 2, 3, 8, 9, 8, 9])
    found = from_ratings(Ratings(users, items), min_user_items=2, min_item_users=2)
    assert found.user_ids.tolist() == [8, 9]
    assert found.item_ids.tolist() == [8, 9]


def test_what_users_and_items_have_too_few_of_is_told_apart():
    # User 1 has one item, 5, which then has one user, 2; without it that one has one item; 6 is left with two users.
    users, items = np.array([1, 2, 2, 3, 3, 4, 4]), np.array([5, 5, 6, 6, 7, 6, 7])
    found = from_ratings(Ratings(users, items), min_user_items=2, min_item_users=2)
    assert found.filters == (Filter("min_user_items", 2, 2, 0), Filter("min_item_users", 1, 0, 1))
    assert found.dropped.user_ids.tolist() == [2]
    assert found.item_ids[found.dropped.items].tolist() == [6]


def test_dropped_users_stay_when_interactions_are_taken_out_and_come_last_in_all():
    found = from_ratings(random_ratings(1), min_user_items=8)
    kept = found.keep(np.arange(found.num_interactions) % 2 == 0)
    assert kept.dropped is found.dropped
    everyone = kept.with_dropped()
    rows = [*map(kept.of, range(kept.num_users)), *map(found.dropped.of, range(found.num_dropped_users))]
    assert [everyone.of(user).tolist() for user in range(everyone.num_users)] == [row.tolist() for row in rows]
    assert everyone.user_ids.tolist() == [*kept.user_ids.tolist(), *found.dropped.user_ids.tolist()]


def test_a_repeat_can_be_an_error():
    ratings = Ratings(
        users=np.array([1, 1, 2, 1]),
        items=np.array([5, 6, 5, 5]),
        ratings=np.array([5.0, 1.0, 5.0, 4.0], np.float32),
        source="some.csv",
    )
    with pytest.raises(InputError, match=r"some\.csv: user 1 has item 5 more than once \(row 4 of the data\)"):
        from_ratings(ratings, min_user_items=1, duplicates="error")
    grades = np.array([5, 1, 5, 3], np.float32)
    ratings = Ratings(ratings.users, ratings.items, grades)
    assert from_ratings(ratings, min_user_items=1, duplicates="error").num_interactions == 2, "below the threshold"


def test_nothing_left_is_an_error_that_names_the_flags():
    with pytest.raises(InputError, match=r"made up: no user has 400 items left .*`min_user_items`"):
        from_ratings(random_ratings(0), min_user_items=400)
    with pytest.raises(InputError, match="no user has 6 items left"):
        from_ratings(Ratings(np.array([], np.int64), np.array([], np.int64)))


def test_keep_and_the_views():
    found = from_ratings(random_ratings(1), min_user_items=3)
    mask = np.random.default_rng(2).random(found.num_interactions) < 0.5
    mask[found.users == 4] = False
    kept = found.keep(mask)
    assert kept.num_users == found.num_users
    assert kept.num_interactions == mask.sum()
    assert kept.counts[4] == 0
    pairs = list(zip(found.users[mask].tolist(), found.items[mask].tolist(), strict=True))
    assert list(zip(kept.users.tolist(), kept.items.tolist(), strict=True)) == pairs
    assert kept.timestamps.tolist() == found.timestamps[mask].tolist()


def test_what_each_filter_drops_is_told(caplog):
    # User 1: item 9 is graded low. User 2: all graded low. User 3: a repeat. User 4: one item only. Item 7: that item.
    rows = [(1, 5, 5), (1, 6, 5), (1, 9, 1), (2, 5, 2), (2, 8, 1), (3, 5, 4), (3, 6, 4), (3, 5, 5), (4, 7, 5)]
    users, items, grades = np.array(rows).T
    from_ratings(Ratings(users, items, grades.astype(np.float32), source="x.csv"), min_user_items=2)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("gdns_tf", "WARNING")
    assert record.getMessage() == (
        "x.csv: dropped 3 row(s), among them all those of 1 user(s) and 2 item(s), for ratings below `min_rating`=4; "
        "1 row(s), among them all those of 0 user(s) and 0 item(s), "
        "for repeats of a user and item (`duplicates`=last); "
        "1 row(s), among them all those of 1 user(s) and 1 item(s), for users with fewer than `min_user_items`=2 items."
    )


def test_nothing_is_told_where_nothing_is_dropped(caplog):
    from_ratings(Ratings(np.array([1, 1, 2]), np.array([5, 6, 5])), min_user_items=1)
    assert caplog.records == []


def test_users_who_are_dropped_later_join_those_who_are_already():
    rng = np.random.default_rng(0)
    rows = np.unique(rng.integers(0, (30, 25), (150, 2)), axis=0)
    rng.shuffle(rows)
    data = from_ratings(Ratings(users=rows[:, 0], items=rows[:, 1]), min_user_items=4)
    leaving = rng.choice(data.num_users, data.num_users - 2, replace=False)
    left = data.drop(leaving)

    def pairs(of):
        return {(of.user_ids[u], of.item_ids[i]) for u, i in zip(of.users, of.items, strict=True)}

    gone = set(data.user_ids[leaving])
    assert pairs(left) == {(u, i) for u, i in pairs(data) if u not in gone}
    catalogue = {i for _, i in pairs(left)}
    assert set(left.item_ids) == catalogue
    assert len(catalogue) < data.num_items  # or it shows nothing
    expected = pairs(data) | pairs(data.dropped)
    assert pairs(left.dropped) == {(u, i) for u, i in expected if i in catalogue} - pairs(left)
    assert (left.dropped.counts > 0).all()
