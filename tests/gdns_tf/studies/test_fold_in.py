"""The benchmark of fold-in: who is hidden, what their histories are, and that queries are the ridge solution."""

import numpy as np
import pytest
from toy import toy_interactions

from gdns_tf.command import exit_code
from gdns_tf.models.factors import HistorySum
from gdns_tf.serving.fold_in import FoldIn
from gdns_tf.studies import fold_in
from gdns_tf.studies.fold_in import FoldInBenchConfig, first_items, folded_in, hidden_groups, of_users, popularity
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.held_out import HeldOut
from pipelines.split import Split


def _dataset(train):
    rng = np.random.default_rng(1)
    held_out = rng.integers(0, train.num_items, (2, train.num_users)).astype(np.int32)
    negatives = rng.integers(0, train.num_items, (2, train.num_users, 5)).astype(np.int32)
    return Split("toy", train, *map(HeldOut.one_each, held_out, negatives))


def test_groups_share_no_user_and_ten_tenths_are_everyone():
    groups = hidden_groups(50, FoldInBenchConfig(hidden_share=0.1, hidden_groups=10))
    assert [len(group) for group in groups] == [5] * 10
    assert sorted(np.concatenate(groups)) == list(range(50))
    assert all((np.diff(group) > 0).all() for group in groups)
    other = hidden_groups(50, FoldInBenchConfig(hidden_groups=10, hidden_seed=1))
    assert not all(np.array_equal(a, b) for a, b in zip(groups, other, strict=True))


def test_data_of_some_users_keeps_their_rows_and_the_catalogue():
    dataset = _dataset(toy_interactions())
    users = np.array([7, 2, 11])
    part = of_users(dataset, users)
    assert part.train.num_items == dataset.train.num_items
    for row, user in enumerate(users):
        np.testing.assert_array_equal(part.train.of(row), dataset.train.of(user))
        assert part.train.user_ids[row] == dataset.train.user_ids[user]
        for mine, whole in ((part.valid, dataset.valid), (part.test, dataset.test)):
            np.testing.assert_array_equal(mine.of(row), whole.of(user))
            np.testing.assert_array_equal(mine.negatives[row], whole.negatives[user])


@pytest.mark.parametrize("length", [1, 3, 100])
def test_first_items(length):
    train = toy_interactions()
    short = first_items(train, length)
    for user in range(train.num_users):
        np.testing.assert_array_equal(short.of(user), train.of(user)[:length])


@pytest.mark.parametrize("cells", [1, 30, 10**6])
def test_queries_are_the_ridge_solution_whatever_the_batches(cells, monkeypatch):
    monkeypatch.setattr(fold_in, "_BATCH_CELLS", cells)
    train = toy_interactions()
    train = train.keep(train.users != 3)  # one without a history
    Q = np.random.default_rng(0).normal(size=(train.num_items, 4)).astype(np.float32)
    alpha, l2 = 0.05, 2.0
    queries = folded_in(Q, train, FoldIn(alpha, l2))
    for user in range(train.num_users):
        # Ordinary least squares on stacked rows: weight 1 for score 1, alpha for score 0, l2 for the query itself.
        own = Q[train.of(user)].astype(np.float64)
        rows = np.concatenate([own, alpha**0.5 * Q, (l2 * np.mean(Q**2)) ** 0.5 * np.eye(4)])
        wanted = np.concatenate([np.ones(len(own)), np.zeros(len(Q) + 4)])
        np.testing.assert_allclose(queries[user], np.linalg.lstsq(rows, wanted)[0], atol=1e-5)


def test_popularity_ranks_by_users_of_an_item():
    train = toy_interactions()
    factors = popularity(train, 2)
    scores = factors.queries @ factors.items.T
    np.testing.assert_array_equal(scores, [[(train.items == item).sum() for item in range(train.num_items)]] * 2)


def test_strengths_are_those_with_the_best_mean_over_history_lengths(monkeypatch):
    train = toy_interactions(fewest=6)
    values = {(0.1, 1): (0.9, 0.1), (0.1, 2): (0.5, 0.8), (0.2, 1): (0.6, 0.6), (0.2, 2): (0.1, 0.9)}
    monkeypatch.setattr(fold_in, "ALPHAS", (0.1, 0.2))
    monkeypatch.setattr(fold_in, "L2S", (1, 2))

    def of_table(served, dataset, split):
        (strengths, histories) = served
        assert split == "valid"
        return np.full(3, values[strengths.alpha, strengths.l2][int(histories.counts.max() <= 5)])

    monkeypatch.setattr(fold_in, "by_fold_in", lambda items, strengths: lambda histories: (strengths, histories))
    monkeypatch.setattr(fold_in, "ndcg", of_table)
    assert fold_in.choose_strengths(np.ones((19, 2)), _dataset(train), (5,)) == FoldIn(0.1, 2)


@pytest.mark.parametrize(
    "values",
    [{"hidden_share": 0.0}, {"hidden_share": 1.0}, {"hidden_groups": 0}, {"hidden_groups": 11}],
)
def test_impossible_groups_are_refused(values):
    with pytest.raises(InputError, match="hidden_"):
        FoldInBenchConfig(**values)


def test_one_command_from_flags_to_tables(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(fold_in, "ALPHAS", (0.01,))
    monkeypatch.setattr(fold_in, "L2S", (10,))
    data = ["--planted_users=40", "--planted_items=250"]
    train = ["--max_epochs=1", "--dim=4", "--notensorboard", "--history_lengths=5", "--hidden_share=0.25"]
    configs = [FoldInBenchConfig, TrainConfig, DataConfig]

    def command(*flags):
        return exit_code(fold_in.main, fold_in.__doc__, configs, ["fold_in", *data, *train, *flags])

    assert command(f"--output_dir={tmp_path}/gmf", "--scorer=gmf") == 0
    out = capsys.readouterr().out
    assert "a. All 40 users" in out
    assert "b. 10 users hidden from training (1 runs)" in out
    assert "trained, as many others" not in out
    assert "Chosen: alpha = 0.01" in out
    assert {path.name for path in (tmp_path / "gmf").iterdir()} == {"all", "without_0"}
    assert command(f"--output_dir={tmp_path}/history", "--hidden_groups=2") == 0
    out = capsys.readouterr().out
    assert "Chosen" not in out
    first, last = (out[out.index(part) :] for part in ("a. All 40", "b. 20 users hidden from training (2 runs)"))
    lines = {line[:28].strip(): line.split() for line in first.splitlines()[1:5]}
    assert lines["whole history"][2] == lines["trained row"][2]  # the encoder serves them as it trained them
    assert last.count("trained, as many others") >= 2
    assert command() == 1


def test_queries_by_an_encoder_are_its_sums(monkeypatch):
    monkeypatch.setattr(fold_in, "_BATCH_CELLS", 30)
    train = toy_interactions()
    vectors = np.random.default_rng(0).normal(size=(19, 3)).astype(np.float32)
    sums = [vectors[train.of(user)].sum(axis=0) / len(train.of(user)) ** 0.6 for user in range(13)]
    np.testing.assert_allclose(fold_in.encoded(HistorySum(vectors, 0.6), train), sums, rtol=1e-4, atol=1e-5)
