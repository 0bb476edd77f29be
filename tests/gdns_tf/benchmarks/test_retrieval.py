"""The benchmark of retrieval: what it compares with, and that all systems answer the same question."""

import numpy as np
import pytest

from gdns_tf.benchmarks import retrieval
from gdns_tf.benchmarks.retrieval import (
    NUM_USERS,
    REFERENCE,
    RetrievalBenchConfig,
    System,
    enlarged,
    format_times,
    measure,
    mixture,
    numpy_top_k,
    recall,
)
from pipelines.errors import InputError


def test_enlarged_items_are_blurred_items_of_the_model():
    model = mixture(num_items=50)
    large = enlarged(model, 5000)
    assert (large.num_users, large.num_items) == (NUM_USERS, 5000)
    to_nearest = np.linalg.norm(large.items[:, None] - model.items[None], axis=2).min(axis=1)
    noise = 0.5 * np.linalg.norm(model.items.std(axis=0))
    assert 0.7 * noise < to_nearest.mean() < 1.1 * noise
    assert {tuple(row) for row in large.queries} <= {tuple(row) for row in model.queries}
    np.testing.assert_array_equal(large.items, enlarged(model, 5000).items)


def test_vectors_of_a_weights_file(tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "weights.npz", P=rng.normal(size=(9, 4)), Q=rng.normal(size=(99, 4)), w=rng.normal(size=4))
    config = RetrievalBenchConfig(
        weights=str(tmp_path / "weights.npz"), num_items=(300,), batch_sizes=(1,), retrieve=5, rounds=1, seconds=0.01
    )
    retrieval.bench(config)
    assert f"Vectors after {config.weights}, d = 4, k = 5" in capsys.readouterr().out


def test_recall_counts_what_both_found_in_any_order():
    assert recall(np.array([[1, 2, 3, 4], [5, 6, 7, 8]]), np.array([[4, 3, 2, 1], [5, 6, 0, 9]])) == 0.75
    assert recall(np.array([[-1, 2]]), np.array([[1, 2]])) == 0.5


def test_numpy_reference_is_a_sort():
    rng = np.random.default_rng(0)
    query, Q = rng.normal(size=(37, 5)), rng.normal(size=(300, 5))
    for k in (1, 10, 300):
        np.testing.assert_array_equal(numpy_top_k(query, Q, k), np.argsort(-query @ Q.T, axis=1)[:, :k])


def test_tensorflow_finds_what_numpy_finds():
    model = enlarged(mixture(), 12_000)
    users = np.array([3, 200])
    exact = numpy_top_k(model.queries[users], model.items, 20)
    for system in [*retrieval.tensorflow_systems(model, 20), retrieval.brute_force_system(model, 20)]:
        np.testing.assert_array_equal(system.search(users), exact, err_msg=system.name)


def test_signatures_find_what_numpy_finds_but_for_what_was_seen(monkeypatch):
    monkeypatch.setattr(retrieval, "PROBED", (1, 32, 512))
    model = enlarged(mixture(), 3000)
    users = np.array([5, 0, 5])
    exact, *indexed = retrieval.signature_systems(model, 50)
    found = exact.search(users)
    shares = [recall(system.search(users), found) for system in indexed]
    assert 0 < shares[0] < shares[1] <= shares[2] == 1
    assert found.shape == (3, 50)
    ranked = numpy_top_k(model.queries[users], model.items, 3000)
    for row in range(3):
        place = [int(np.flatnonzero(ranked[row] == item)[0]) for item in found[row]]
        assert place == sorted(place)
        assert 50 <= place[-1] + 1 <= 50 + retrieval.SEEN


def test_faiss_flat_is_exact_and_lists_nearly():
    pytest.importorskip("faiss", reason="pip install 'gdns_tf[bench]'")
    model, users = enlarged(mixture(), 3000), np.arange(8)
    exact = numpy_top_k(model.queries[users], model.items, 20)
    flat, *approximate = retrieval.faiss_systems(model, 20, 1)
    np.testing.assert_array_equal(flat.search(users), exact)
    shares = []
    for system in approximate:
        system.prepare()
        shares.append(recall(system.search(users), exact))
    assert 0.3 < shares[0] < shares[1] <= 1


def test_hnswlib_finds_nearly_all():
    pytest.importorskip("hnswlib", reason="pip install 'gdns_tf[bench]'")
    model, users = enlarged(mixture(), 3000), np.arange(8)
    for system in retrieval.hnswlib_systems(model, 20, 1):
        system.prepare()
        assert recall(system.search(users), numpy_top_k(model.queries[users], model.items, 20)) > 0.9


def test_systems_take_turns_and_slow_ones_have_one(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(retrieval.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(retrieval.time, "process_time", lambda: clock[0] / 2)
    calls = []

    def system(name, seconds):
        def search(users):
            calls.append((name, len(users)))
            clock[0] += seconds

        return System(name, search)

    compared = [system(REFERENCE, 8.0), system("fast", 0.25)]
    times = measure(compared, 2, RetrievalBenchConfig(num_items=(1000,), rounds=2, seconds=0.4))
    assert calls == [(REFERENCE, 2), ("fast", 2)] + [(REFERENCE, 2)] + 4 * [("fast", 2)]
    np.testing.assert_allclose(times["fast"], [[250, 125]] * 4)
    line = format_times(times, 2).splitlines()[-1].split()
    assert line == ["fast", "250.000", "250.000", "125.000", "16", "32.00", "4"]


@pytest.mark.parametrize(
    "values",
    [
        {"num_items": ()},
        {"num_items": (150,)},
        {"batch_sizes": (257,)},
        {"skip": ("fais",)},
        {"rounds": 0},
        {"threads": 0},
    ],
)
def test_impossible_flags_are_refused(values):
    with pytest.raises(InputError, match=next(iter(values))):
        RetrievalBenchConfig(**values)
