"""The TFRS task: its steps against NumPy loops, its place in TFRS and Keras, and the example program."""

import math
import re
from dataclasses import replace

import gdns_tf  # noqa: F401  before TFRS, which wants Keras 2 to be chosen

# isort: split
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs
from numpy_oracle import PENALTIES, sigmoid
from toy import toy_interactions

from gdns_tf.examples import tfrs_two_tower
from gdns_tf.examples.tfrs_two_tower import Data, ExampleConfig, compare
from gdns_tf.models.losses import LOSSES, SquaredHinge
from gdns_tf.tfrs import GdnsRetrieval
from pipelines.errors import InputError

DIM, N = 4, 3
SMOOTHING, EPSILON, MARGIN = 0.3, 1e-6, 0.7


class Expected:
    """The task in plain loops; pairs are (user id, item id), and the table forgets nothing."""

    def __init__(self, loss, temperature=1.0, indicator="g", score_mask=None):
        self.penalty, self.temperature, self.indicator = PENALTIES[loss][0], temperature, indicator
        self.H, self.G = {}, {}

    def allowed(self, users, items, mask=None):
        """Each row's candidates, one column an item: those of no row of the same user, the last copy of each."""
        known = {(u, i) for u, i in zip(users, items, strict=False)}
        last = {item: column for column, item in enumerate(items)}
        return [
            {c for i, c in last.items() if (user, i) not in known and (mask is None or mask[row, c])}
            for row, user in enumerate(users)
        ]

    def check_and_step(self, Q, C, users, items, columns, chosen, loss, weights, mask=None, training=True):
        """Checks the choice and the loss of one step, then updates H and G."""
        scores = Q.astype(np.float64) @ C.astype(np.float64).T / self.temperature
        total, of_pair = 0.0, {}
        for row, allowed in enumerate(self.allowed(users, items, mask)):
            taken = [c for c, good in zip(columns[row], chosen[row], strict=True) if good]
            assert len(taken) == len(set(taken)) == min(N, len(allowed))
            assert set(taken) <= allowed
            table = {"g": self.G, "h": self.H, None: {}}[self.indicator]
            value = {c: table.get((users[row], items[c]), 1.0) for c in allowed}
            if taken and allowed - set(taken):  # all passed over are no better than all taken
                assert min(value[c] for c in taken) >= max(value[c] for c in allowed - set(taken)) - 1e-6
            for c in taken:
                total += weights[row] * self.penalty(scores[row, c] - scores[row, row] + MARGIN)
                h = sigmoid(scores[row, c] - scores[row, row])
                of_pair.setdefault((users[row], items[c]), []).append(h)
        assert float(loss) == pytest.approx(total, rel=1e-5)
        if training:
            for pair, hs in of_pair.items():
                h, before = np.mean(hs), self.H.get(pair, 1.0)
                change = sigmoid((before - h) / (h + EPSILON))
                self.H[pair], self.G[pair] = h, SMOOTHING * self.G.get(pair, 1.0) + (1 - SMOOTHING) * change
        return of_pair


class Spy(GdnsRetrieval):
    """Shows what was chosen."""

    def _choose(self, *args):
        self.columns, self.chosen, cells = super()._choose(*args)
        return self.columns, self.chosen, cells


def spy(loss="hinge", **changes):
    settings = {"num_hard_negatives": N, "num_candidates": None, "smoothing": SMOOTHING, "epsilon": EPSILON}
    return Spy(LOSSES[loss](MARGIN), **(settings | {"num_users": 5, "num_slots": 64} | changes))


def batches(count, rows, num_users=5, num_items=11, seed=0):
    """Batches in which users, items and pairs occur several times."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        users, items = rng.integers(num_users, size=rows), rng.integers(num_items, size=rows)
        users[-1], items[-1] = users[0], items[0]
        yield users, items, *rng.normal(size=(2, rows, DIM)).astype(np.float32), rng.random(rows).astype(np.float32)


@pytest.mark.parametrize(
    ("loss", "temperature", "sampler", "text"),
    [
        ("hinge", None, "gdns", False),
        ("softplus", 0.5, "gdns", True),
        ("squared_hinge", None, "gdns_without_g", False),
        ("hinge", None, "uniform", True),
    ],
)
def test_steps_agree_with_loops(loss, temperature, sampler, text):
    task = spy(loss, temperature=temperature, sampler=sampler, num_slots=2**16)
    expected = Expected(loss, temperature or 1.0, {"gdns": "g", "gdns_without_g": "h", "uniform": None}[sampler])
    repeats = 0
    for users, items, Q, C, weights in batches(12, rows=9):
        if text:
            users, items = np.char.add("u", users.astype(str)), np.char.add("film ", items.astype(str))
        loss = task(Q, C, weights, query_ids=users, candidate_ids=items, training=True)
        of_pair = expected.check_and_step(
            Q, C, users.tolist(), items.tolist(), task.columns.numpy(), task.chosen.numpy(), loss, weights
        )
        repeats += sum(len(hs) > 1 for hs in of_pair.values())
        if sampler != "uniform":
            (pairs,) = (list(expected.H),)
            found = task.gains_of([u for u, _ in pairs], [i for _, i in pairs]).numpy()
            found = found[np.arange(len(pairs)), np.arange(len(pairs))]
            np.testing.assert_allclose(found, [(expected.H[p], expected.G[p]) for p in pairs], rtol=2e-5)
    assert repeats > 5  # pairs that several rows of a batch chose
    assert int(task.gains.step) == 12


def test_extra_candidates_and_masked_ones():
    task, expected = spy(), Expected("hinge")
    rng = np.random.default_rng(3)
    for users, items, Q, _, weights in batches(8, rows=5):
        items = np.concatenate([items, rng.integers(11, 20, 6)])
        C = rng.normal(size=(11, DIM)).astype(np.float32)
        mask = rng.random((5, 11)) < 0.5
        loss = task(Q, C, weights, query_ids=users, candidate_ids=items, score_mask=mask, training=True)
        step = task.columns.numpy(), task.chosen.numpy(), loss, weights, mask
        expected.check_and_step(Q, C, users.tolist(), items.tolist(), *step)
    assert any(item > 10 for _, item in expected.G)


def test_a_row_without_candidates_costs_nothing_and_learns_nothing():
    task = spy()
    x = tf.ones([2, DIM])
    assert float(task(x, x, query_ids=[1, 2], candidate_ids=[7, 7], training=True)) == 0.0
    np.testing.assert_array_equal(task.gains_of([1, 2], [7]), np.ones([2, 1, 2]))
    # One candidate each, of which H is 1/2 and the change from 1 is worth sigmoid(1/2 / (1/2 + epsilon)).
    assert float(task(x, x, query_ids=[1, 2], candidate_ids=[7, 8], training=True)) == pytest.approx(2 * MARGIN)
    g = SMOOTHING + (1 - SMOOTHING) / (1 + math.exp(-1))
    found = task.gains_of([1, 2], [7, 8]).numpy()
    np.testing.assert_allclose(found, [[[1, 1], [0.5, g]], [[0.5, g], [1, 1]]], rtol=1e-5)


def test_candidates_are_drawn_uniformly_and_ties_fall_at_random():
    task = spy(num_candidates=4)
    ids, x = np.arange(8), tf.zeros([8, DIM])

    @tf.function
    def columns(step):
        task.gains.step.assign(step)
        task(x, x, query_ids=ids, candidate_ids=ids, training=False)  # no training: all gains stay 1
        return task.columns

    counts, steps = np.zeros([8, 8]), 600
    for step in range(steps):
        np.add.at(counts, (ids[:, None], columns(tf.constant(step, tf.int64)).numpy()), 1)
    assert np.diag(counts).sum() == 0
    p = N / 7
    off = counts[~np.eye(8, dtype=bool)]
    np.testing.assert_array_less(np.abs(off - steps * p), 4.5 * math.sqrt(steps * p * (1 - p)))


def test_the_highest_gains_are_taken():
    task = spy(num_users=1)
    items = np.arange(8)
    values = np.stack([np.ones(8), np.linspace(0.1, 0.8, 8)], axis=1)[None].astype(np.float32)
    task.gains.table.write(tf.constant([0]), tf.constant(items[None]), tf.constant(values))
    task(tf.zeros([1, DIM]), tf.zeros([8, DIM]), query_ids=[0], candidate_ids=items, training=False)
    assert sorted(task.columns.numpy()[0]) == [5, 6, 7]


def test_copies_of_an_item_are_candidates_each_if_asked():
    task = spy(distinct=False)
    x, ids = tf.zeros([4, DIM]), {"query_ids": [0, 1, 2, 3], "candidate_ids": [7, 8, 8, 8]}
    task(x, x, **ids, training=False)
    assert sorted(task.columns.numpy()[0]) == [1, 2, 3]
    assert task.chosen.numpy().sum(axis=1).tolist() == [3, 1, 1, 1]
    task = spy()
    task(x, x, **ids, training=False)
    assert task.chosen.numpy().sum(axis=1).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("first", [3, 7, -1])
def test_users_of_one_row_never_take_each_others_values(first):
    """3, 7 and -1 are of row 3 of 4."""
    task, x = spy(num_users=4), tf.ones([2, DIM])
    task(x, x, query_ids=[first, 2], candidate_ids=[6, 5], training=True)
    others = [user for user in (3, 7, -1, 11) if user != first]
    assert (task.gains_of([first], [5]).numpy() < 1).all()
    np.testing.assert_array_equal(task.gains_of(others, [5]), np.ones([3, 1, 2]))


def test_of_pairs_that_share_a_slot_the_last_one_stays_whole():
    task = spy(num_slots=2, num_users=3)
    users, items, Q, C, _ = next(batches(1, rows=200, num_users=3, num_items=40))
    task(Q, C, query_ids=users, candidate_ids=items, training=True)
    pairs = list(zip(np.repeat(users, N), items[task.columns.numpy().ravel()], strict=True))
    assert task.chosen.numpy().all()
    last = {(user, item % 2): item for user, item in pairs}
    exact = spy(num_slots=64, num_users=3)
    exact(Q, C, query_ids=users, candidate_ids=items, training=True)  # the same draws
    expected = np.ones([3, 40, 2], np.float32)
    for (user, _), item in last.items():
        expected[user, item] = exact.gains_of([user], [item]).numpy()
    np.testing.assert_array_equal(task.gains_of(np.arange(3), np.arange(40)), expected)
    assert len(last) == 6
    assert len(set(pairs)) > 3 * len(last)


def test_evaluation_changes_nothing_and_repeats():
    task = spy()
    users, items, Q, C, _ = next(batches(1, rows=9))
    ids = {"query_ids": users, "candidate_ids": items}
    task(Q, C, **ids, training=True)
    before = [variable.numpy() for variable in task.gains.variables]
    losses = {float(task(Q, C, **ids, training=False)) for _ in range(3)}
    assert len(losses) == 1
    for variable, value in zip(task.gains.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_mistakes_are_named():
    task, x = spy(), tf.ones([2, DIM])
    with pytest.raises(InputError, match=r"not told whether this is training.*training=training"):
        task(x, x, query_ids=[1, 2], candidate_ids=[1, 2])
    with pytest.raises(InputError, match="needs `query_ids`"):
        task(x, x, candidate_ids=[1, 2], training=True)
    with pytest.raises(InputError, match="`candidate_ids` are float32"):
        task(x, x, query_ids=[1, 2], candidate_ids=[1.0, 2.0], training=True)
    with pytest.raises(InputError, match="`num_candidates`=2 must be at least `num_hard_negatives`, 3"):
        spy(num_candidates=2)
    with pytest.raises(InputError, match="`sampler`='hard' must be one of gdns, gdns_without_g, uniform"):
        spy(sampler="hard")
    with pytest.raises(InputError, match="keeps no gains"):
        spy(sampler="uniform").gains_of([1], [1])


def test_a_compiled_step_equals_the_plain_one():
    results = []
    for compiled in (False, True):
        task = spy("softplus")
        step = tf.function(
            lambda *args, task=task: task(*args[:2], query_ids=args[2], candidate_ids=args[3], training=True)
        )
        step = tf.function(step, jit_compile=compiled)
        losses = [float(step(Q, C, users, items)) for users, items, Q, C, _ in batches(4, rows=9)]
        results.append((losses, task.gains_of(np.arange(5), np.arange(11)).numpy()))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-5)


# In TFRS.

TRAIN = toy_interactions(num_users=30, num_items=24, fewest=4)


class TwoTower(tfrs.Model):
    def __init__(self, task_seed=0):
        super().__init__()
        tf.keras.utils.set_random_seed(0)
        self.users, self.items = (
            tf.keras.Sequential(
                [tf.keras.layers.StringLookup(vocabulary=ids), tf.keras.layers.Embedding(len(ids) + 1, 8)]
            )
            for ids in (names("u", TRAIN.num_users), names("film ", TRAIN.num_items))
        )
        films = tf.data.Dataset.from_tensor_slices(names("film ", TRAIN.num_items)).batch(10)
        self.task = GdnsRetrieval(
            SquaredHinge(),
            metrics=tfrs.metrics.FactorizedTopK(films.map(lambda ids: (ids, self.items(ids))), ks=(1, 5)),
            batch_metrics=[tf.keras.metrics.TopKCategoricalAccuracy(1, name="batch_top_1")],
            loss_metrics=[tf.keras.metrics.Mean(name="mean_loss")],
            num_hard_negatives=6,
            num_candidates=12,
            seed=task_seed,
        )

    def compute_loss(self, batch, training=False):
        return self.task(
            self.users(batch["user"]),
            self.items(batch["item"]),
            query_ids=batch["user"],
            candidate_ids=batch["item"],
            compute_metrics=not training,
            training=training,
        )


def names(prefix, count):
    return [f"{prefix}{number}" for number in range(count)]


def dataset():
    users, items = np.array(names("u", TRAIN.num_users)), np.array(names("film ", TRAIN.num_items))
    rows = {"user": users[TRAIN.users], "item": items[TRAIN.items]}
    return tf.data.Dataset.from_tensor_slices(rows).shuffle(1000, seed=1).batch(50)


def fitted(epochs=25, task_seed=0):
    model = TwoTower(task_seed)
    model.compile(tf.keras.optimizers.Adagrad(0.3))
    if epochs:
        model.fit(dataset(), epochs=epochs, verbose=0)
    return model


@pytest.fixture(scope="module")
def model():
    return fitted()


def test_fit_and_evaluate(model):
    steps = int(model.task.gains.step)
    assert steps == 25 * -(-TRAIN.num_interactions // 50)
    table = model.task.gains.table.cells.numpy()
    trained = model.evaluate(dataset(), return_dict=True, verbose=0)
    np.testing.assert_array_equal(model.task.gains.table.cells, table)
    assert int(model.task.gains.step) == steps
    untrained = fitted(epochs=0).evaluate(dataset(), return_dict=True, verbose=0)
    name = "factorized_top_k/top_5_categorical_accuracy"
    assert untrained[name] < 0.4
    assert trained[name] > untrained[name] + 0.2
    assert trained["batch_top_1"] > untrained["batch_top_1"] + 0.2
    assert trained["mean_loss"] < 0.5 * untrained["mean_loss"]
    assert trained[name] == pytest.approx(accuracy_of(model, 5))


def accuracy_of(model, k):
    """The metric from the embeddings: how many training pairs have their item among the user's first k."""
    P = model.users(tf.constant(names("u", TRAIN.num_users))).numpy()
    Q = model.items(tf.constant(names("film ", TRAIN.num_items))).numpy()
    scores = P @ Q.T
    own = scores[TRAIN.users, TRAIN.items]
    return ((scores[TRAIN.users] > own[:, None]).sum(axis=1) < k).mean()


def test_a_seed_repeats_and_another_does_not():
    once, again, other = fitted(2), fitted(2), fitted(2, task_seed=1)
    for a, b in zip(once.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(once.task.gains.table.cells, again.task.gains.table.cells)
    assert not np.array_equal(once.task.gains.table.cells, other.task.gains.table.cells)


def test_weights_do_not_carry_the_table_and_checkpoints_do(model, tmp_path):
    size = model.task.gains.table.cells.shape[0]
    assert all(size not in weight.shape for weight in [*model.weights, *model.task.weights])
    model.save_weights(tmp_path / "weights")
    model.save_weights(tmp_path / "weights.h5")
    for path in (tmp_path / "weights.index", tmp_path / "weights.h5"):
        assert not re.search(rb"item_h_and_g|gains", path.read_bytes())
    shapes = dict(tf.train.list_variables(str(tmp_path / "weights")))
    assert not any(size in shape for shape in shapes.values())

    path = tf.train.Checkpoint(model=model, gains=model.task.gains).save(tmp_path / "all")
    fresh = fitted(epochs=1)
    tf.train.Checkpoint(model=fresh, gains=fresh.task.gains).restore(path).expect_partial()
    np.testing.assert_array_equal(fresh.task.gains.table.cells, model.task.gains.table.cells)
    assert int(fresh.task.gains.step) == int(model.task.gains.step)
    np.testing.assert_array_equal(fresh.get_weights()[0], model.get_weights()[0])


def test_the_example_runs(capsys, monkeypatch):
    """With the arm of each class of task, and the first setting of each: the rest are the same code."""
    kept = ["Retrieval, popularity corrected", "group-wise, GDNS"]
    arms = tfrs_two_tower.arms
    monkeypatch.setattr(
        tfrs_two_tower,
        "arms",
        lambda *args: [replace(arm, settings=arm.settings[:1]) for arm in arms(*args) if arm.title in kept],
    )
    settings = {"seeds": (0,), "learning_rates": (0.1,), "epochs": 1, "dim": 4, "batch_size": 256}
    results = compare(ExampleConfig(**settings, planted_users=40, planted_items=140))
    lines = capsys.readouterr().out.splitlines()
    assert list(results) == kept
    for line, (title, of_k) in zip(lines[-2:], results.items(), strict=True):
        assert 0 <= of_k[10][0] <= of_k[50][0] <= of_k[100][0] <= 1
        assert line.split()[len(title.split()) :][:3] == [f"{100 * of_k[k][0]:.1f}" for k in (10, 50, 100)]


def test_every_arm_of_the_example_has_as_many_settings():
    data = Data.load(config := ExampleConfig(planted_users=40, planted_items=140))
    arms = tfrs_two_tower.arms(data, config)
    assert {len(arm.settings) for arm in arms} == {2}
    assert len({arm.title for arm in arms}) == 6
    for arm in arms:
        for setting in arm.settings:
            assert isinstance(arm.make(setting, 0), tfrs.tasks.Retrieval)


def test_the_example_reads_movielens(tmp_path):
    """20 users of 6 films each; film 7 is missing in `movies.dat`."""
    ratings = [f"{film // 6 + 1}::{film + 1}::5::{1000 + film}" for film in range(120)]
    movies = [f"{film}::Cinéma {film}::{'Drama|War' if film % 2 else 'Comedy'}" for film in range(1, 121) if film != 7]
    (tmp_path / "ratings.dat").write_text("\n".join(ratings) + "\n")
    (tmp_path / "movies.dat").write_text("\n".join(movies) + "\n", "latin-1")
    data = Data.load(ExampleConfig(data_dir=str(tmp_path)))
    assert data.item_features.tolist() == [[0, 0, 0] if i == 6 else [i % 2, 1 - i % 2, 1 - i % 2] for i in range(120)]
    assert data.user_features[:, 2].all()  # four films to train on: 2^2
    (row, *_) = data.held_out("test").as_numpy_iterator()
    np.testing.assert_array_equal(row["item_id"], np.arange(20) * 6 + 5)  # the latest
    np.testing.assert_array_equal(row["item_share"], np.zeros(20))
    (tmp_path / "movies.dat").unlink()
    with pytest.raises(InputError, match=r"movies.dat: cannot be read"):
        Data.load(ExampleConfig(data_dir=str(tmp_path)))
