"""Values that cannot work are refused by the name of their flag."""

import pytest

from gdns_tf.training.config import TrainConfig
from pipelines.errors import InputError


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group_size": 0}, "--group_size=0 must be at least 1"),
        ({"learning_rate": 0.0}, "--learning_rate=0.0 must be above 0"),
        ({"l2": -0.1}, "--l2=-0.1 must not be negative"),
        ({"dropout": 1.0}, r"--dropout=1.0 must lie in \[0, 1\)"),
        ({"smoothing": 1.5}, "--smoothing=1.5"),
        ({"num_candidates": 16}, "--num_candidates=16 must be at least --group_size=32"),
        ({"learning_rate": float("nan")}, "--learning_rate=nan"),
    ],
)
def test_refused(changes, message):
    with pytest.raises(InputError, match=message):
        TrainConfig(**changes)


def test_defaults_are_the_papers_settings():
    config = TrainConfig()
    assert (config.learning_rate, config.margin, config.smoothing, config.group_size) == (0.09, 1, 0.2, 32)
    assert (config.batch_size, config.dim, config.optimizer, config.loss, config.pairing) == (
        1024,
        32,
        "adagrad",
        "hinge",
        "group",
    )
    assert config.l2 == config.dropout == config.user_weight_power == config.average_decay == 0


def test_only_what_makes_another_run_counts_as_a_change():
    first = TrainConfig(output_dir="a", max_epochs=5)
    assert first.changes(TrainConfig(output_dir="b", max_epochs=6, show_users=0)) == []
    assert first.changes(TrainConfig(seed=1, margin=2.0)) == ["seed", "margin"]
