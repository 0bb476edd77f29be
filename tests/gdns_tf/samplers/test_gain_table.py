"""Eq. 5 against hand-computed values, and both tables against a dictionary."""

import math

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from gdns_tf.samplers.gain_table import BoundedGainTable, DenseGainTable, gain

ROUND = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def test_gain_by_hand():
    # H falls from 1 to 0.5: sigmoid((1 - 0.5) / 0.5) = sigmoid(1).
    expected = 0.2 * 1.0 + 0.8 / (1 + math.exp(-1))
    assert float(gain(1.0, 1.0, tf.constant(0.5), 0.2, 0.0)) == pytest.approx(expected)
    # No change is worth sigmoid(0) = 1/2, and epsilon keeps H = 0 from dividing by it.
    assert float(gain(0.3, 0.0, tf.constant(0.0), 0.2, 1e-8)) == pytest.approx(0.2 * 0.3 + 0.8 * 0.5)
    # A rise of H, a false negative's mark, lowers the gain below that.
    assert float(gain(0.3, 0.5, tf.constant(0.9), 0.2, 1e-8)) < 0.2 * 0.3 + 0.8 * 0.5


USERS, ITEMS = 7, 23


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("cells", list(ROUND))
@pytest.mark.parametrize("table_class", [DenseGainTable, BoundedGainTable])
def test_exact_tables_remember_everything_as_their_cells_round_it(table_class, cells, compiled):
    table, known, rng = table_class(USERS, ITEMS, cells=cells, compiled=compiled), {}, np.random.default_rng(0)
    read = tf.function(table.read, jit_compile=compiled)
    write = tf.function(table.write, jit_compile=compiled)
    for _ in range(20):
        users = rng.choice(USERS, 3, replace=False).astype(np.int32)
        items = np.stack([rng.choice(ITEMS, 5, replace=False) for _ in users]).astype(np.int32)
        found = read(tf.constant(users), tf.constant(items)).numpy()
        for row, user in enumerate(users):
            for column, item in enumerate(items[row]):
                assert tuple(found[row, column]) == known.get((user, item), (1.0, 1.0))
        values = rng.random((3, 5, 2)).astype(np.float32) ** 9  # down to where float16 has few digits left
        write(tf.constant(users), tf.constant(items), tf.constant(values))
        rounded = values.astype(ROUND[cells]).astype(np.float32)
        known |= {
            (u, i): tuple(v) for u, r, vs in zip(users, items, rounded, strict=True) for i, v in zip(r, vs, strict=True)
        }
    visited = table.visited(tf.range(USERS)).numpy()
    assert sorted(map(tuple, visited)) == sorted(known.values())
    (variable,) = table.variables
    slot = 2 * ROUND[cells](0).itemsize + (4 if table_class is BoundedGainTable else 0)
    assert variable.shape.num_elements() * variable.dtype.size == USERS * ITEMS * slot


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("cells", ["float32", "bfloat16"])
def test_a_bounded_table_gives_a_slot_to_the_last_comer(cells, compiled):
    """Against a dictionary with a place for each slot, on traffic in which the pairs of a step often share one."""
    slots, places, rng = 6, {}, np.random.default_rng(1)
    table = BoundedGainTable(USERS, slots, cells=cells, compiled=compiled)
    read = tf.function(table.read, jit_compile=compiled)
    write = tf.function(table.write, jit_compile=compiled)
    forgotten = 0
    for _ in range(30):
        users = rng.choice(USERS, 3, replace=False).astype(np.int32)
        items = rng.integers(ITEMS, size=[3, 5]).astype(np.int32)  # some of them twice
        found = read(tf.constant(users), tf.constant(items)).numpy()
        values = rng.random((USERS, ITEMS, 2)).astype(np.float32)[users[:, None], items]
        for row, column in np.ndindex(items.shape):
            user, item = users[row], items[row, column]
            holder, kept = places.get((user, item % slots), (item, (1.0, 1.0)))
            assert tuple(found[row, column]) == (kept if holder == item else (1.0, 1.0))
            forgotten += holder != item
        write(tf.constant(users), tf.constant(items), tf.constant(values))
        rounded = values.astype(ROUND[cells]).astype(np.float32)
        for row, column in np.ndindex(items.shape):  # in this order
            item = items[row, column]
            places[users[row], item % slots] = item, tuple(rounded[row, column])
    assert forgotten > 100
    assert sorted(map(tuple, table.visited(tf.range(USERS)).numpy())) == sorted(kept for _, kept in places.values())


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("item_dtype", [tf.int32, tf.int64])
def test_bounded_table_carries_every_bit_of_item_h_and_g(item_dtype, compiled):
    """Also of item numbers whose bits are no number as a float, and through XLA, which may rewrite floats."""
    table = BoundedGainTable(2, 8, item_dtype=item_dtype, compiled=compiled)
    items = np.array([[0, 1, 0x7F800003, 0x7FC00004, 2**31 - 1]])  # the last three would be NaNs
    if item_dtype == tf.int64:
        items += np.array([[2**33, 0, 2**61, 0, 2**40]])
    items = items.astype(item_dtype.as_numpy_dtype)
    odd = np.array([[-0.0, 1e-45], [np.inf, 1e-38], [np.nan, 1.0], [0.1, 0.2], [1e-8, 3e38]], np.float32)[None]

    @tf.function(jit_compile=compiled)
    def write_and_read(users, items, values):
        table.write(users, items, values)
        return table.read(users, items), table.read(1 - users, items), table.read(users, items ^ 8)

    same, other_user, other_items = write_and_read(tf.constant([1]), tf.constant(items), tf.constant(odd))
    np.testing.assert_array_equal(same.numpy().view(np.int32), odd.view(np.int32))
    np.testing.assert_array_equal(other_user, np.ones_like(odd))
    np.testing.assert_array_equal(other_items, np.ones_like(odd))  # the same slots, held by other items


def test_repeated_candidates_are_written_once():
    table = DenseGainTable(1, 4)
    table.write(tf.constant([0]), tf.constant([[3, 3]]), tf.constant([[[0.5, 0.6], [0.5, 0.6]]]))
    assert len(table.visited(tf.constant([0]))) == 1
