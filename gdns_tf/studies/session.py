"""One run of a study: its flags, where its trials and its report go, and how it trains them."""

import json
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from gdns_tf.flags import parse_setting
from gdns_tf.studies.config import StudyConfig
from gdns_tf.studies.pool import run_trials
from gdns_tf.studies.trial import Result, Trial
from gdns_tf.training.config import TrainConfig
from pipelines.atomic import write_text
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.paths import as_path

METRICS = {"ndcg@1": "NDCG@1", "ndcg@3": "NDCG@3", "recall@3": "Recall@3"}
"""What the paper reports, and its names in tables."""
SELECTION = "ndcg@3"
"""What hyper-parameters and epochs are chosen by, on validation."""


@dataclass(frozen=True)
class Session:
    """The flags of a study."""

    data: DataConfig
    train: TrainConfig
    """What all its trials share."""
    config: StudyConfig
    given: Set[str] = frozenset()
    """Names of the settings of `train` that were set, and did not come of defaults."""

    @property
    def folder(self) -> Path:
        return as_path(self.config.study_dir)

    @property
    def trials(self) -> Path:
        return as_path(self.config.trials_dir) if self.config.trials_dir else self.folder.parent / "trials"

    @property
    def command(self) -> str:
        """The command line that makes this report."""
        return self.config.command or " ".join(["python -m gdns_tf.study", *map(shlex.quote, sys.argv[1:])])

    def choice(self, system: str) -> dict[str, object]:
        """The hyper-parameters that the `table3` study ``tuned_by`` chose for a system; empty without such a study.

        Raises:
          InputError: there is no such study, or it is not finished.
        """
        if not self.config.tuned_by:
            return {}
        path = as_path(self.config.tuned_by) / "tuned.json"
        if not path.exists():
            raise InputError("there is no tuned.json", path=path.parent, remedy="Finish the table3 study there first.")
        return json.loads(path.read_text()).get(system, {})

    def trial(
        self,
        label: str,
        overrides: Mapping[str, object],
        seed: int,
        task: str = "train",
        options: Mapping[str, float] | None = None,
        *,
        full: bool = False,
    ) -> Trial:
        """A trial by the study's settings, but for `overrides`; the rest as of `Trial`."""
        config = self.train.with_settings(seed=seed, **overrides)
        return Trial(label, self.data, config, task, tuple(sorted((options or {}).items())), full)

    def run(self, trials: Iterable[Trial], title: str, **options: int) -> dict[Trial, Result]:
        """See `run_trials`."""
        return run_trials(list(trials), self.trials, self.config.workers, title, **options)

    def write_results(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Writes `results.jsonl`, a line for each trial."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / "results.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def result_row(result: Result, phase: str) -> dict[str, object]:
    """A trial's line in `results.jsonl`. A tuning trial's says nothing of test."""
    metrics = result.metrics
    row = {"phase": phase, "label": result.trial.label, "seed": result.trial.config.seed, "valid": metrics["valid"]}
    if phase != "tuning":
        row["test"] = metrics["test"]
    kept = ("epochs", "best_epoch", "seconds", "seconds_per_epoch", "data_fingerprint")
    return row | {name: metrics[name] for name in kept} | {"folder": result.folder.name}


def overrides_of(text: str, separator: str = ";") -> dict[str, object]:
    """Settings and values in a text such as "l2=0.01;dropout=0.1".

    Raises:
      InputError: there is no such training setting, or the value is not of its type.
    """
    overrides = {}
    for part in filter(None, (part.strip() for part in text.split(separator))):
        name, equals, value = part.partition("=")
        if not equals:
            raise InputError(
                f"{part!r} is no training setting with a value", remedy="Write name=value, such as l2=0.01."
            )
        overrides[name] = parse_setting(TrainConfig, name, value)
    return overrides
