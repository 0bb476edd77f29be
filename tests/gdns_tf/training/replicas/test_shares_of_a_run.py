"""Uneven shares, as of data in shards: what is made for a replica, and a process, has room for the largest."""

from types import SimpleNamespace

import pytest
from streamed import SPLIT

from gdns_tf.models.setup import Setup
from gdns_tf.runs.train import shared_alike
from gdns_tf.training.build import build_trainer
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.replicas.base import ALONE, Replicas
from pipelines.errors import InputError
from pipelines.shares import Share, even_share, whole


@pytest.mark.parametrize("starts", [(0, 30, 60), (0, 50, 60), (0, 7, 8, 60), (0, 12, 24, 36, 48, 60)])
@pytest.mark.parametrize("batch_size", [9, 25, 60, 100])
def test_a_step_of_a_replica_has_no_more_users_than_there_is_room_for(starts, batch_size):
    setups = [
        Setup(SPLIT.train, batch_size=batch_size, share=Share(number, starts)) for number in range(len(starts) - 1)
    ]
    for setup in setups:
        steps = setup.steps_per_epoch
        bounds = [setup.own.bounds(step, steps) for step in range(steps)]
        assert max(end - start for start, end in bounds) <= setup.own_users_a_step
    assert len({setup.own_users_a_step for setup in setups}) == 1


def test_of_even_shares_there_is_room_for_what_there_was():
    """A likelihood's blocks, and so its rounding, depend on it."""
    share = even_share(SPLIT.train.num_users, 0, 7)
    for batch_size in range(1, 70):
        expected = -(-min(batch_size, 60) // 7) + 1
        assert Setup(SPLIT.train, batch_size=batch_size, share=share).own_users_a_step == expected


class Several(Replicas):
    """The first of two processes, each with two replicas; the other one says what it is told to."""

    count, workers, local = 4, 2, range(2)

    def __init__(self, other=None):
        self._other = other

    def everywhere(self, function):
        return [function(), self._other]


@pytest.mark.parametrize(
    ("starts", "most"), [((0, 10, 20, 30, 40), 20), ((0, 1, 2, 30, 60), 58), ((0, 30, 40, 50, 60), 40)]
)
def test_the_most_users_of_a_process(starts, most):
    assert Several().most_users(Share(3, starts)) == most
    assert ALONE.most_users(whole(60)) == 60


def shared_out(*starts):
    """Data that is shared out so."""
    return SimpleNamespace(share=lambda number, of: Share(number, starts), num_users=starts[-1])


def test_workers_with_other_data_or_other_shards_are_told():
    split = SimpleNamespace(fingerprint="a", train=shared_out(0, 10, 20, 30, 60))
    assert shared_alike(split, Several(["a", (0, 10, 20, 30, 60)])) == Share(0, (0, 10, 20, 30, 60))
    with pytest.raises(InputError, match="worker 1 has data b, and the chief a"):
        shared_alike(split, Several(["b", (0, 10, 20, 30, 60)]))
    with pytest.raises(InputError, match="worker 1 has the same data in other shards than the chief"):
        shared_alike(split, Several(["a", (0, 10, 20, 40, 60)]))


@pytest.mark.parametrize(
    ("starts", "told"), [((0, 12, 30, 45, 60), False), ((0, 1, 2, 3, 5), False), ((0, 10, 20, 30, 60), True)]
)
def test_who_waits_for_a_larger_share_is_told(starts, told, caplog):
    split = SimpleNamespace(fingerprint="a", train=shared_out(*starts))
    shared_alike(split, Several(["a", starts]))
    assert ("One of the 4 replicas has 30 of 60 users, 2.0 times an even share" in caplog.text) is told
    assert ("into more shards" in caplog.text) is told


def test_all_processes_refuse_a_batch_size_that_leaves_any_replica_without_a_user(monkeypatch):
    """Else one of them went, and the others waited for it."""
    config = TrainConfig.from_settings(batch_size=12, dim=4, strategy="multiworker")
    monkeypatch.setattr(type(SPLIT.train), "share", lambda self, number, of: Share(number, (0, 20, 40, 56, 60)))
    with pytest.raises(InputError, match="`batch_size`=12 is too little for 4 replicas"):
        build_trainer(SPLIT.train, config, Several())
