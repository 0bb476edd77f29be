"""Which settings go with several replicas; told before any data is read."""

import pytest
import tensorflow as tf

from gdns_tf.command import PEER_LOST, exit_code
from gdns_tf.samplers.base import Sampler
from gdns_tf.samplers.registry import SAMPLERS
from gdns_tf.training.config import STRATEGIES, TrainConfig
from gdns_tf.training.replicas.base import ALONE
from gdns_tf.training.replicas.lost import PeerLost
from gdns_tf.training.replicas.strategies import MIRRORED, MULTIWORKER, NONE, join
from gdns_tf.training.replicas.watched import peers_watched
from pipelines.errors import InputError

LEARN_FROM_ALL = {"irgan", "advir", "rns_as"}


def test_strategies_are_those_of_the_setting():
    assert {NONE, MIRRORED, MULTIWORKER} == set(STRATEGIES)
    assert join(NONE) is ALONE


@pytest.mark.parametrize("strategy", ["mirrored", "multiworker"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_that_learn_from_all_users_of_a_step_are_refused(sampler, strategy):
    settings = {"sampler": sampler, "strategy": strategy}
    if sampler not in LEARN_FROM_ALL:
        assert TrainConfig.from_settings(**settings).strategy == strategy
        return
    with pytest.raises(InputError, match=f"`strategy`={strategy} does not go with `sampler`={sampler}"):
        TrainConfig.from_settings(**settings)


def test_a_sampler_with_an_update_of_its_own_has_to_say_that_users_can_be_split():
    class Counts(Sampler):
        def select(self, batch, scorer):
            raise NotImplementedError

        def update(self, scored):
            self.steps = 1

    class CountsUsers(Counts):
        splits_users = True

        def update(self, scored):
            self.steps = 1

    assert not Counts.splits_users
    assert CountsUsers.splits_users
    with pytest.raises(InputError, match="given as an object"):
        TrainConfig.from_settings(sampler=CountsUsers(), strategy="mirrored")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "gdns", "jit_compile": True, "strategy": "mirrored"}, "`jit_compile`=True does not go with"),
        ({"output_dir": "s3://bucket/run", "strategy": "multiworker"}, "file system that all see"),
        ({"strategy": "both"}, "`strategy`"),
    ],
)
def test_what_does_not_go_together_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        TrainConfig.from_settings(**settings)
    assert TrainConfig.from_settings(output_dir="s3://bucket/run", strategy="mirrored")


def test_a_lost_worker_asks_to_be_started_again(capsys):
    def lose(_read):
        with peers_watched(1, 3):
            raise tf.errors.UnavailableError(None, None, "Collective ops is aborted by: Socket closed\nMore.")

    assert exit_code(lose, "Trains.", [TrainConfig], ["train"]) == PEER_LOST == 75
    told = capsys.readouterr().err
    assert told.startswith("error: worker 1 of 3 has lost another one: Collective ops is aborted by: Socket closed.")
    with pytest.raises(tf.errors.InvalidArgumentError), peers_watched(0, 2):
        raise tf.errors.InvalidArgumentError(None, None, "no fault of a worker")
    with pytest.raises(PeerLost), peers_watched(0, 2):
        raise tf.errors.AbortedError(None, None, "")
