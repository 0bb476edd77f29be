"""Where training diverges, the settings are named that are farthest from the defaults."""

import dataclasses

import pytest

from gdns_tf.models.registry import SCORERS
from gdns_tf.samplers.registry import SAMPLERS
from gdns_tf.training.config import HARMLESS, TrainConfig
from gdns_tf.training.divergence import advice, far_from_defaults
from gdns_tf.training.recipes import RECIPES

BASES = [
    *({"objective": objective} for objective in RECIPES),
    *({"sampler": sampler} for sampler in SAMPLERS),
    *({"scorer": scorer, "objective": "pairs"} for scorer in SCORERS),
]


def numbers(config):
    """The settings that are floats and matter to what is learnt, with their fields."""
    held = [config, config.scorer_config, config.sampler_config]
    found = {f.name: f for part in held for f in dataclasses.fields(part) if "help" in f.metadata}
    return {n: f for n, f in found.items() if isinstance(config.settings()[n], float) and n not in HARMLESS}


@pytest.mark.parametrize("base", BASES, ids=str)
def test_the_setting_that_is_far_away_is_named_first(base):
    config = TrainConfig.from_settings(**base)
    assert far_from_defaults(config) == []
    assert advice(config).startswith("Lower `learning_rate` (now ")
    for name, field in numbers(config).items():
        bounds = field.metadata["bounds"]
        far = 1e5 if not bounds.objection(1e5) else 1e-6 if not bounds.objection(1e-6) else bounds.at_most
        odd = config.with_settings(**{name: far})
        assert far_from_defaults(odd)[0][0] == name
        assert advice(odd).startswith(f"Try first what is farthest from its default (in brackets): `{name}`=")


def test_it_is_a_sentence():
    config = TrainConfig.from_settings(objective="pairs", margin=1e6, l2=0.0)
    assert advice(config) == (
        "Try first what is farthest from its default (in brackets): `l2`=0 (0.02), `margin`=1e+06 (1). Lower "
        "`learning_rate` (now 0.09) or raise `l2` (now 0) if that is not it."
    )
