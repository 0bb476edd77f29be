"""How a run is repeated: what its settings change, as a call and as a command line."""

import shlex

from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.samplers.given import PREFIX
from gdns_tf.training.config import HARMLESS, TrainConfig, objectives_of
from gdns_tf.training.recipes import SAMPLING

_NAMED = ("objective", "scorer")
"""Always said: what they are unasked hangs on what else is given."""


def has_effect(name: str, config: TrainConfig) -> bool:
    """Whether a setting means something to a run's objective."""
    return config.objective in objectives_of([name]).get(name, {config.objective})


def changed_settings(config: TrainConfig) -> dict[str, object]:
    """The settings of a run that are not those which its objective, its scorer and its sampler bring; see `HARMLESS`.

    `objective`, `scorer` and, where there is one, `sampler` are always among them.
    """
    named = {name: getattr(config, name) for name in _NAMED}
    if config.objective in SAMPLING:
        named["sampler"] = config.sampler
    given = getattr(config.sampler_config, "instance", None)
    known = named | ({"sampler": given} if given else {})
    if str(known.get("sampler")).startswith(PREFIX):  # one that was given as an object, of which the name is left
        del known["sampler"]
    unasked = TrainConfig.defaults_for(known, tells=False).with_settings(**known).settings()
    silent = HARMLESS - {"max_epochs"}
    return named | {
        name: value
        for name, value in config.settings().items()
        if name not in silent and has_effect(name, config) and unasked.get(name) != value
    }


def as_call(config: TrainConfig, separator: str = ", ") -> str:
    """A call that trains the same on the same data."""
    told = {n: "..." if str(v).startswith(PREFIX) else repr(v) for n, v in changed_settings(config).items()}
    return f"gdns_tf.fit({separator.join(['data', *(f'{name}={value}' for name, value in told.items())])})"


def as_command(output_dir: str) -> str:
    """A command line that trains the same, by the flags in the folder of the run."""
    return f"python -m gdns_tf.train --flagfile={shlex.quote(str(RunFolder(output_dir).flags))} --output_dir=runs/again"
