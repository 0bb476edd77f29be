"""How to tune; each field is a setting of `gdns_tf.fit` and a flag of the same name."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from gdns_tf.flags import parse_choices
from gdns_tf.training.config import TrainConfig
from pipelines.checks import Settings
from pipelines.config import flag
from pipelines.errors import InputError, require


@dataclass(frozen=True)
class TuneConfig(Settings):
    """A search for settings. Those of training that are set stay as they are; the rest is searched.

    Raises:
      InputError: a value cannot work; names the field.
    """

    tune_minutes: float = flag(10.0, "Minutes to search for, resumed calls counted in.", main=True, above=0)
    tune_trials: int = flag(0, "Stop after so many trials, where that comes first; 0: no limit.", main=True, at_least=0)
    search: tuple[str, ...] = flag(
        (), "More to search, or other values to choose among, as dim=32|64,sampler=uniform|dns.", main=True
    )

    @classmethod
    def taken_from(cls, tune_minutes: float | None, settings: dict[str, object]) -> "TuneConfig | None":
        """How to tune, by settings that are taken out of those of training; None where it was not asked for."""
        own = {field.name: settings.pop(field.name) for field in fields(cls) if field.name in settings}
        if tune_minutes is not None:
            return cls(tune_minutes=tune_minutes, **own)
        for name in own:
            raise InputError(f"`{name}` is of tuning, which was not asked for", remedy="Set `tune_minutes` too.")
        return None

    def check(self) -> None:
        _ = self.choices

    @property
    def choices(self) -> dict[str, tuple]:
        """What `search` says: setting -> its values.

        Raises:
          InputError: it cannot be read, or names something that is no setting or value of training.
        """
        return parse_choices(TrainConfig, "search", self.search)


def split_choices(settings: Mapping[str, object]) -> tuple[dict[str, object], dict[str, tuple]]:
    """Settings that are set, and those that are given as lists of values to choose among, as `dim=[32, 64]`.

    Raises:
      InputError: a list is empty.
    """
    choices = {name: tuple(value) for name, value in settings.items() if isinstance(value, (list, tuple))}
    for name, values in choices.items():
        require(len(values) > 0, name, "[]", "names no value to choose")
    return {name: value for name, value in settings.items() if name not in choices}, choices
