"""The sampler's diagnostics against counts by hand, and that looking does not change what is looked at."""

from types import SimpleNamespace

import numpy as np
import pytest
from toy import PAPER, toy_interactions

from gdns_tf.runs.callbacks import Validation
from gdns_tf.runs.diagnostics import Diagnostics, FalseNegatives
from gdns_tf.runs.tensorboard.callback import TensorBoard
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.replicas.base import ALONE
from pipelines.held_out import HeldOut
from pipelines.split import Split

TRAIN = toy_interactions()
CONFIG = TrainConfig(group_size=3, num_candidates=8, dim=4, batch_size=5, init_scale=0.5, **PAPER)


def dataset(false_negatives=None):
    items = np.zeros(TRAIN.num_users, np.int32)
    rows = np.zeros((TRAIN.num_users, 100), np.int32)
    return Split("toy", TRAIN, *(HeldOut.one_each(items + n, rows) for n in (3, 5)), false_negatives)


def test_held_out_items_are_the_known_false_negatives():
    known = FalseNegatives(dataset())
    assert known.share(np.array([0, 12]), np.array([[3, 5, 0, 18], [4, 3, 3, 6]])) == pytest.approx(4 / 8)


def test_planted_ones_where_they_are_given():
    offsets = np.zeros(TRAIN.num_users + 1, np.int64)
    offsets[2:] = 2  # user 1 alone has two
    known = FalseNegatives(dataset((offsets, np.array([7, 18], np.int32))))
    assert known.share(np.array([1, 2]), np.array([[7, 18], [7, 18]])) == pytest.approx(0.5)


@pytest.fixture
def trained():
    trainer = build_trainer(TRAIN, CONFIG)
    for batch in build_batches(TRAIN, CONFIG).take(12):
        trainer.train_step(batch)
    return trainer


def view(trainer, folder=None):
    """What callbacks see of a run."""
    return SimpleNamespace(trainer=trainer, split=dataset(), config=CONFIG, epoch=0, folder=folder, replicas=ALONE)


def test_by_hand(trained):
    batches = build_batches(TRAIN, CONFIG, first_epoch=50)
    batch = next(iter(batches))
    before = trained.sampler.table.cells.numpy()
    diagnostics = Diagnostics()
    diagnostics.on_start(view(trained))
    found = diagnostics.of(batch)
    np.testing.assert_array_equal(trained.sampler.table.cells, before)

    table = before.reshape(TRAIN.num_users, TRAIN.num_items, 2)
    P, Q, w = (v.numpy() for v in trained.scorer.trainable_variables)
    chosen, passed, active, never, liked = [], [], [], [], []
    for user, positives, candidates in zip(batch["users"], batch["positives"], batch["candidates"], strict=True):
        user, order = int(user), sorted(candidates.numpy(), key=lambda j: -table[int(user), j, 1])
        chosen += [table[user, j] for j in order[:3]]
        passed += [table[user, j] for j in order[3:]]
        never += [(table[user, j] == 1).all() for j in order]
        liked += [j in (3, 5) for j in order[:3]]
        score = (P[user] * w) @ Q.T
        active += [score[j] - score[i] + 1 > 0 for i in positives.numpy() for j in order[:3]]
    assert found["g_chosen"] == pytest.approx(np.mean(chosen, 0)[1], rel=1e-5)
    assert found["g_passed_over"] == pytest.approx(np.mean(passed, 0)[1], rel=1e-5)
    assert found["h_chosen"] == pytest.approx(np.mean(chosen, 0)[0], rel=1e-5)
    assert found["never_visited"] == pytest.approx(np.mean(never))
    assert found["active_pairs"] == pytest.approx(np.mean(active))
    assert found["false_negatives_among_chosen"] == pytest.approx(np.mean(liked))
    assert found["g_chosen"] > found["g_passed_over"]


def test_written_for_tensorboard(trained, tmp_path):
    (tmp_path / "flags.txt").write_text("--dim=4\n")
    run = view(trained, SimpleNamespace(tensorboard=tmp_path, flags=tmp_path / "flags.txt"))
    run.popularity = {}
    validation = Validation(10, 1.0, 0.5, {"ndcg@3": 0.25}, 0.25)
    for callback in (Diagnostics(), TensorBoard()):
        callback.on_start(run)
        callback.on_validation(run, validation)
        callback.close()
    written = b"".join(path.read_bytes() for path in tmp_path.glob("events*"))
    for tag in (b"sampler/g_chosen", b"sampler/false_negatives_among_chosen", b"sampler/G", b"sampler/H"):
        assert tag in written
