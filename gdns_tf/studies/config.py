"""What a study compares; each field is a flag of the same name."""

import math
from dataclasses import dataclass

from gdns_tf.flags import parse_choices
from gdns_tf.studies.peer_systems import PEERS, contenders
from gdns_tf.studies.sampler_arms import ARMS
from gdns_tf.studies.systems import ABLATIONS, SYSTEMS, TABLE3
from gdns_tf.training.config import LARGEST_DIM, TrainConfig
from pipelines.checks import Settings
from pipelines.config import flag, seed_flag
from pipelines.errors import InputError, require, shown

STUDIES = {
    "table3": "gdns_tf.studies.table3:run",
    "ablation": "gdns_tf.studies.ablation:run",
    "false_negatives": "gdns_tf.studies.false_negatives_report:run",
    "group_size": "gdns_tf.studies.sweeps:group_size",
    "smoothing": "gdns_tf.studies.sweeps:smoothing",
    "candidates": "gdns_tf.studies.sweeps:candidates",
    "gain_tables": "gdns_tf.studies.gain_tables:run",
    "grid": "gdns_tf.studies.grid:run",
    "sampler_worth": "gdns_tf.studies.sampler_worth:run",
    "peers": "gdns_tf.studies.peers:run",
}
"""The studies by name, each the module and the function of a `Session` that runs it; a new one needs its line here."""


LARGEST_GRID = 10_000
"""Combinations of `vary`, each of which is trained for every seed."""


@dataclass(frozen=True)
class StudyConfig(Settings):
    """A study. Its training flags (see `gdns_tf.train --help`) are what all its systems share."""

    study: str = flag("table3", "What to run.", tuple(STUDIES), main=True)
    study_dir: str = flag("", "Folder for results.jsonl, report.md and the plots. Required.", main=True, path=True)
    trials_dir: str = flag(
        "", "Folder of the training runs, which studies may share; empty: trials beside study_dir.", path=True
    )
    workers: int = flag(
        1,
        "Processes that train at a time; the machine's cores are shared out among them.",
        main=True,
        at_least=1,
        at_most=256,
    )
    seeds: tuple[int, ...] = seed_flag((0, 1, 2, 3, 4), "Seeds that the results are means over.", main=True)
    systems: tuple[str, ...] = flag(
        ("popularity", "ials", *TABLE3, *ABLATIONS),
        f"table3: what to compare, of {', '.join(SYSTEMS)}; ablation: likewise.",
    )
    baseline: str = flag("gdns", "table3: the system that each other is tested against.")
    tune: tuple[str, ...] = flag(
        (), "table3: alternatives tried for every system, as l2=0.01;dropout=0.1,... First comes what the flags say."
    )
    peers: tuple[str, ...] = flag(
        tuple(PEERS), f"peers: what to compare, of {', '.join(PEERS)}; with a size, as bpr:64, at that one alone."
    )
    dims: tuple[int, ...] = flag(
        (32, 64, 128, 256), "peers: sizes d of what learns factors.", at_least=1, at_most=LARGEST_DIM
    )
    tuning_trials: int = flag(10, "peers: settings tried for every system, its defaults among them.", at_least=1)
    tuning_seeds: tuple[int, ...] = seed_flag((100,), "table3, peers: seeds of the tuning trials; none of --seeds.")
    tuning_epochs: int = flag(
        0, "table3: epochs of a tuning trial, where they shall be fewer; 0: --max_epochs.", at_least=0
    )
    tuned_by: str = flag(
        "", "Figures: the study_dir of a table3 study, whose choice of hyper-parameters to take.", path=True
    )
    arms: tuple[str, ...] = flag(
        tuple(ARMS),
        f"sampler_worth: what to compare, of {', '.join(ARMS)}; tested against the first two.",
    )
    vary: tuple[str, ...] = flag(
        (), "grid: flags and their values, as l2=0.01|0.1,sampler=uniform|gdns; all combinations are run."
    )
    values: tuple[str, ...] = flag(
        (),
        "group_size, smoothing, candidates: the values to try; empty: the paper's. gain_tables: slots of a user by the "
        "number of items, as 1/4.",
    )
    cost_rounds: int = flag(
        3, "table3: how often each system's epoch is timed, in turn, at the end; 0: not.", at_least=0, at_most=1000
    )
    command: str = flag("", "Shown in the report in place of the command that was given.")

    def check(self) -> None:
        if not self.study_dir:
            raise InputError("`study_dir` is not set", remedy="Name a folder, such as runs/studies/table3.")
        require(bool(self.dims), "dims", "", "must be one or more numbers")
        contenders(self.peers, self.dims)
        if len(self.seeds) < 1 or len(set(self.seeds)) < len(self.seeds):
            raise InputError(f"`seeds`={','.join(map(str, self.seeds))} must be one or more different numbers")
        if shared := set(self.seeds) & set(self.tuning_seeds):
            raise InputError(
                f"`tuning_seeds` and `seeds` both hold {min(shared)}",
                remedy="Tune on seeds of their own: what is chosen on a seed looks too good on it.",
            )
        for name in self.systems:
            if name not in SYSTEMS:
                raise InputError(f"`systems`: there is no {name!r}", remedy=f"Choose among {', '.join(SYSTEMS)}.")
        if self.study == "table3" and self.baseline not in self.systems:
            raise InputError(f"`baseline`={self.baseline} is not among `systems`={','.join(self.systems)}")
        for name in self.arms:
            if name not in ARMS:
                raise InputError(f"`arms`: there is no {name!r}", remedy=f"Choose among {', '.join(ARMS)}.")
        if (count := math.prod(map(len, parse_choices(TrainConfig, "vary", self.vary).values()))) > LARGEST_GRID:
            raise InputError(f"`vary` comes to {shown(count)} combinations, and {LARGEST_GRID:,} are the most")
        if self.study == "grid" and not self.vary:
            raise InputError("`vary` is not set", remedy="Name flags and values, such as `vary`='l2=0.01|0.1'.")
