"""Which settings may be at fault where training diverges."""

import math

from gdns_tf.training.config import HARMLESS, TrainConfig
from gdns_tf.training.recipes import PAIRS

FAR = 3.0
"""Times its default, or a part of it, from which a setting counts as far away."""
_NAMED = 3
"""Settings that are named at most: the list is a hint where to look first."""


def advice(config: TrainConfig) -> str:
    """What to try where the loss is no number any more, in sentences.

    Which setting did it the loss does not tell. So those are named that are farthest from what the same objective,
    scorer and sampler have unasked, if any are far; and then what holds of any run.
    """
    penalty = "l2" if config.objective == PAIRS else "user_l2"
    usual = f"Lower `learning_rate` (now {config.learning_rate:g}) or raise `{penalty}` (now {_value(config, penalty)})"
    if not (suspects := far_from_defaults(config)):
        return f"{usual}."
    told = ", ".join(f"`{name}`={_value(config, name)} ({default:g})" for name, default in suspects)
    return f"Try first what is farthest from its default (in brackets): {told}. {usual} if that is not it."


def far_from_defaults(config: TrainConfig) -> list[tuple[str, float]]:
    """The numbers that may make training diverge and are far from their defaults, the farthest first: (name, default).

    Numbers of 0, or whose default is 0, are as far as it goes.
    """
    chosen = {"objective": config.objective, "scorer": config.scorer}
    if config.has_sampler and isinstance(config.sampler, str) and ":" not in config.sampler:
        chosen["sampler"] = config.sampler
    defaults = TrainConfig.defaults_for(chosen, tells=False).with_settings(**chosen).settings()
    distances = {}
    for name, value in config.settings().items():
        default = defaults.get(name)
        if isinstance(value, float) and isinstance(default, float) and name not in HARMLESS and value != default:
            distances[name] = abs(math.log(abs(value / default))) if value and default else math.inf
    far = [name for name in distances if distances[name] > math.log(FAR)]
    return [(name, defaults[name]) for name in sorted(far, key=distances.get, reverse=True)[:_NAMED]]


def _value(config: TrainConfig, name: str) -> str:
    return f"{config.settings()[name]:g}"
