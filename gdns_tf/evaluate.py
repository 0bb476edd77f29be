"""Evaluates a trained model, and compares it with another, or with a baseline.

    python -m gdns_tf.evaluate --run_dir=RUN --compare=popularity
    python -m gdns_tf.evaluate --run_dir=RUN --compare=ease --protocol=full --k=20
    python -m gdns_tf.evaluate --weights=FILE.npz --dataset=srns --data_dir=FOLDER

A run brings its data flags along; flags on the command line win over them. The last line of standard output is one JSON
object with everything that the table above it shows.

Baselines are popularity, itemknn, ease, ials and ials_scaled (iALS by implicit, and by irspack with L2 scaled by
frequency), bpr and warp. They are fitted to the same training items, with as many factors as the model, and untuned: by
options that are sensible on data that was not seen, which the table shows. Tuned, they may rank better: the study
"peers" tunes them.
"""

import json
from dataclasses import dataclass

from gdns_tf.command import Read, run_command
from gdns_tf.evaluation.baselines.untuned import UNTUNED
from gdns_tf.evaluation.metrics import LARGEST_K
from gdns_tf.evaluation.ranking import PROTOCOLS, SPLITS, TIES
from gdns_tf.evaluation.report import as_json, evaluate_with_tests, format_table
from gdns_tf.runs.loading import check_compared, data_of, load_compared, load_model
from pipelines.checks import Settings
from pipelines.config import DataConfig, flag, seed_flag
from pipelines.errors import InputError, require
from pipelines.load import load_dataset
from pipelines.sample import sampled


@dataclass(frozen=True)
class EvaluateConfig(Settings):
    """What to evaluate, and how."""

    run_dir: str = flag("", "Folder of a training run: its weights, on its data.", main=True, path=True)
    weights: str = flag(
        "", "Instead of run_dir: an .npz file with P, Q and w; give the data flags too.", main=True, path=True
    )
    compare: str = flag(
        "",
        f"Test the difference from a baseline ({', '.join(UNTUNED)}), another run (its folder) or .npz file.",
        main=True,
        path=True,
    )
    split: str = flag("test", "Which held-out items to rank.", SPLITS, main=True)
    protocol: str = flag(
        "sampled",
        "sampled: against 100 fixed negatives; full: against all items that the user has not.",
        PROTOCOLS,
        main=True,
    )
    ties: str = flag(
        "pessimistic",
        "pessimistic: equal scores stand above the held-out item; optimistic: below it, as in SRNS.",
        TIES,
    )
    k: tuple[int, ...] = flag(
        (1, 3, 10),
        "Lengths of the list; what is shown is judged by the longest.",
        main=True,
        at_least=1,
        at_most=LARGEST_K,
    )
    users: int = flag(
        0, "Users to measure on, drawn at random by --users_seed; 0: all. For data of very many users.", at_least=0
    )
    users_seed: int = seed_flag(0, "Seed of that draw.")
    bootstrap: int = flag(
        1000, "Resamples of the users for the confidence intervals; 0: no intervals.", at_least=0, at_most=10**6
    )

    def check(self) -> None:
        if bool(self.run_dir) == bool(self.weights):
            raise InputError("give either `run_dir` or `weights`", remedy="See --help.")
        require(bool(self.k), "k", "", "must list one or more numbers")


def main(read: Read) -> None:
    config = read(EvaluateConfig)
    if config.compare:
        check_compared(config.compare)  # before the data is read, which may take a while
    split = load_dataset(read(DataConfig, data_of(config.run_dir) if config.run_dir else None))
    name = config.run_dir or config.weights
    model = load_model(name, split)
    other = load_compared(config.compare, split, model.dim) if config.compare else None
    measured_on = sampled(split, config.users, config.users_seed)
    comparison = evaluate_with_tests(
        model,
        measured_on,
        other and other.model,
        held_out=config.split,
        protocol=config.protocol,
        ties=config.ties,
        ks=config.k,
        resamples=config.bootstrap,
    )
    summary = as_json(comparison, measured_on, name, config.compare, other and other.options)
    print(format_table(summary), end="\n\n")
    print(json.dumps(summary, allow_nan=False))


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [EvaluateConfig, DataConfig])


if __name__ == "__main__":
    run()
