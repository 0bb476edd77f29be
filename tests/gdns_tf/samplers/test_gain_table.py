"""Eq. 5 against hand-computed values, and both tables against a dictionary."""

import math

import numpy as np
import pytest
import tensorflow as tf

from gdns_tf.samplers.gain_table import SLOT_BYTES, BoundedGainTable, DenseGainTable, gain
from pipelines.errors import InputError


def test_gain_by_hand():
    # H falls from 1 to 0.5: sigmoid((1 - 0.5) / 0.5) = sigmoid(1).
    expected = 0.2 * 1.0 + 0.8 / (1 + math.exp(-1))
    assert float(gain(1.0, 1.0, tf.constant(0.5), 0.2, 0.0)) == pytest.approx(expected)
    # No change is worth sigmoid(0) = 1/2, and epsilon keeps H = 0 from dividing by it.
    assert float(gain(0.3, 0.0, tf.constant(0.0), 0.2, 1e-8)) == pytest.approx(0.2 * 0.3 + 0.8 * 0.5)
    # A rise of H, a false negative's mark, lowers the gain below that.
    assert float(gain(0.3, 0.5, tf.constant(0.9), 0.2, 1e-8)) < 0.2 * 0.3 + 0.8 * 0.5


USERS, ITEMS = 7, 23


@pytest.mark.parametrize(
    "make",
    [
        lambda: DenseGainTable(USERS, ITEMS),
        lambda: DenseGainTable(USERS, ITEMS, compiled=True),
        lambda: BoundedGainTable(USERS, ITEMS),
        lambda: BoundedGainTable(USERS, ITEMS, compiled=True),
    ],
)
def test_exact_tables_remember_everything(make):
    table, known, rng = make(), {}, np.random.default_rng(0)
    for _ in range(20):
        users = rng.choice(USERS, 3, replace=False).astype(np.int32)
        items = np.stack([rng.choice(ITEMS, 5, replace=False) for _ in users]).astype(np.int32)
        read = table.read(tf.constant(users), tf.constant(items)).numpy()
        for row, user in enumerate(users):
            for column, item in enumerate(items[row]):
                assert tuple(read[row, column]) == known.get((user, item), (1.0, 1.0))
        values = rng.random((3, 5, 2)).astype(np.float32)
        table.write(tf.constant(users), tf.constant(items), tf.constant(values))
        known |= {
            (u, i): tuple(v) for u, r, vs in zip(users, items, values, strict=True) for i, v in zip(r, vs, strict=True)
        }
    visited = table.visited(tf.range(USERS)).numpy()
    assert sorted(map(tuple, visited)) == sorted(known.values())


def test_bounded_table_gives_a_slot_to_the_last_comer():
    table = BoundedGainTable(2, 4)
    user, values = tf.constant([1]), tf.constant([[[0.25, 0.5]]])
    table.write(user, tf.constant([[2]]), values)
    table.write(user, tf.constant([[6]]), 2 * values)  # 6 and 2 share a slot
    read = table.read(tf.constant([1, 0]), tf.constant([[2, 6, 10], [2, 6, 10]])).numpy()
    np.testing.assert_array_equal(read[0], [[1, 1], [0.5, 1], [1, 1]])
    np.testing.assert_array_equal(read[1], np.ones((3, 2)))
    assert table.cells.shape == (8, 2)
    assert table.cells.shape[1] * table.cells.dtype.size == SLOT_BYTES


@pytest.mark.parametrize("compiled", [False, True])
def test_bounded_table_carries_every_bit_of_item_h_and_g(compiled):
    """Also of item numbers whose bits are no number as a float, and through XLA, which may rewrite floats."""
    table = BoundedGainTable(2, 8, compiled)
    items = np.array([[0, 1, 0x7F800003, 0x7FC00004, 2**31 - 1]], np.int32)  # the last three would be NaNs
    odd = np.array([[-0.0, 1e-45], [np.inf, 1e-38], [np.nan, 1.0], [0.1, 0.2], [1e-8, 3e38]], np.float32)[None]

    @tf.function(jit_compile=compiled)
    def write_and_read(users, items, values):
        table.write(users, items, values)
        return table.read(users, items), table.read(1 - users, items), table.read(users, items ^ 8)

    same, other_user, other_items = write_and_read(tf.constant([1]), tf.constant(items), tf.constant(odd))
    np.testing.assert_array_equal(same.numpy().view(np.int32), odd.view(np.int32))
    np.testing.assert_array_equal(other_user, np.ones_like(odd))
    np.testing.assert_array_equal(other_items, np.ones_like(odd))  # the same slots, held by other items
    assert table.cells.dtype == tf.int64
    np.testing.assert_array_equal(np.sort(table.cells[8:, 0].numpy())[-5:], np.sort(items[0]))


def test_repeated_candidates_are_written_once():
    table = DenseGainTable(1, 4)
    table.write(tf.constant([0]), tf.constant([[3, 3]]), tf.constant([[[0.5, 0.6], [0.5, 0.6]]]))
    assert len(table.visited(tf.constant([0]))) == 1


def test_a_table_that_would_not_fit_is_refused_before_it_is_made():
    with pytest.raises(InputError, match=r"10,000,000 users x 100,000 items takes 7450.6 GiB.*`gain_slots`.*76.3 GiB"):
        DenseGainTable(10_000_000, 100_000)
