"""`report.md`: what was chosen, what was tried, what mattered, and how to train it again."""

from collections.abc import Mapping, Sequence
from statistics import median

import optuna
from optuna.trial import TrialState

from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.markdown import table
from gdns_tf.report_page import save_report
from gdns_tf.runs.repeating import as_call, as_command
from gdns_tf.runs.run import KS, Run
from gdns_tf.training.config import TrainConfig
from gdns_tf.tuning import plots
from gdns_tf.tuning.folder import TuningFolder
from gdns_tf.tuning.space import Between, Choice, Space
from gdns_tf.tuning.table import FEWEST, Row, best_quarter, importances, rows_of

_BEST = 10
"""Trials in the table."""


def write_report(
    folder: TuningFolder, study: optuna.Study, space: Space, config: TrainConfig, run: Run, seconds: float
) -> None:
    """Writes the report and its plot.

    Args:
      folder: of the search.
      study: the trials.
      space: what was searched.
      config: of the chosen trial.
      run: its run, finished.
      seconds: that the search took.
    """
    rows, metric = rows_of(study, space), config.select
    chosen = max((row for row in rows if row.is_complete), key=lambda row: row.value)
    plots.plot(folder.plot, rows, space, chosen, metric)
    under_way = len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
    parts = [
        f"# Tuning on {run.split.name}",
        _gist(rows, chosen, metric),
        _metrics(run.folder.read_metrics(), chosen, metric),
        "## How to train it again",
        _commands(config, folder),
        "## Trials",
        f"{_counts(rows, under_way)} in {seconds / 60:.1f} minutes. The best:",
        _best(rows, chosen, metric),
        _noise(run, metric),
        f"![validation {metric} by trial, and by each setting of {chosen.model}]({folder.plot.name})",
        "## Models",
        _models(rows, space, metric),
        f"## What mattered to {chosen.model}",
        _mattered(rows, chosen, space, importances(study, space, chosen.model)),
        "## What was searched",
        _space(space),
        _rest(config, run, rows),
    ]
    save_report(folder.report, "\n\n".join(parts) + "\n")


def _gist(rows: Sequence[Row], chosen: Row, metric: str) -> str:
    default = next((row for row in rows if row.is_default), rows[0])
    found = f"**Trial {chosen.number}, {chosen.model}: validation {metric} {chosen.value:.4f}**"
    if chosen.number == default.number:
        return f"{found}. These are the defaults: no other trial did better."
    if not default.is_complete:
        return f"{found}. The defaults (trial {default.number}) failed."
    return f"{found}; the defaults (trial {default.number}, {default.model}) have {default.value:.4f}."


def _metrics(metrics: Mapping, chosen: Row, metric: str) -> str:
    columns = [part[held_out] for held_out in ("valid", "test") for part in (metrics, metrics["popularity"])]
    rows = [[name, *(f"{column[name]:.4f}" for column in columns)] for name in metrics["valid"]]
    return "\n\n".join(
        [
            table(["chosen trial", "validation", "popularity", "test", "popularity"], rows),
            f"The validation figures are optimistic: the trial was chosen for having the best {metric} of all on these "
            "very items, by chance in part. Test was not looked at before; its figures are those to go by, as long as "
            "one does not choose among several searches by them.",
        ]
    )


def _commands(config: TrainConfig, folder: TuningFolder) -> str:
    return "\n".join(
        [
            "```python",
            as_call(config),
            "```",
            "",
            "```sh",
            as_command(str(folder.path)),
            "```",
            "",
            "This folder is its run already: `gdns_tf.load`, `gdns_tf.evaluate --run_dir` and `gdns_tf.export "
            "--run_dir` take it as it is. The same search with more `tune_minutes` goes on.",
        ]
    )


def _counts(rows: Sequence[Row], under_way: int) -> str:
    states = [row.state for row in rows]
    counts = {
        "finished": states.count(TrialState.COMPLETE),
        "pruned": states.count(TrialState.PRUNED),
        "failed": states.count(TrialState.FAIL),
        "under way when the time was up, saved to be gone on with": under_way,
    }
    told = [f"{count} {what}" for what, count in counts.items() if count or what == "finished"]
    return f"{len(rows) + under_way} trials, {', '.join(told)},"


def _best(rows: Sequence[Row], chosen: Row, metric: str) -> str:
    complete = sorted((row for row in rows if row.is_complete), key=lambda row: -row.value)[:_BEST]
    shown = list(dict.fromkeys(name for row in complete for name in row.settings))
    lines = [
        [
            f"**{row.number}**" if row.number == chosen.number else row.number,
            f"{row.model}{' (defaults)' if row.is_default else ''}",
            f"{row.value:.4f}",
            row.epochs,
            f"{row.seconds:.0f}",
            *(_short(row.settings.get(name, "")) for name in shown),
        ]
        for row in complete
    ]
    return table(["trial", "model", f"validation {metric}", "epochs", "seconds", *shown], lines)


def _noise(run: Run, metric: str) -> str:
    """How much of a validation is chance."""
    of_users = evaluate(run.best, run.split, "valid", ks=KS).per_user().get(metric)
    if of_users is None:
        return "Small differences are chance: of the users, and of the seed."
    error = of_users.std(ddof=1) / len(of_users) ** 0.5
    return f"Over users the standard error of a validation is {error:.4f}: smaller differences are chance, or may be."


def _models(rows: Sequence[Row], space: Space, metric: str) -> str:
    lines = []
    for model in space.models:
        mine = [row for row in rows if row.model == model]
        complete = [row for row in mine if row.is_complete]
        defaults = [f"{row.value:.4f}" for row in complete if row.is_default]
        lines.append(
            [
                model,
                len(mine),
                sum(row.state == TrialState.PRUNED for row in mine),
                *(defaults[:1] or ["–"]),
                f"{max(row.value for row in complete):.4f}" if complete else "–",
                f"{median(row.seconds for row in complete):.0f}" if complete else "–",
            ]
        )
    header = [
        "model",
        "trials",
        "pruned",
        f"validation {metric} of its defaults",
        "of its best",
        "seconds of training (median)",
    ]
    return table(header, lines)


def _mattered(rows: Sequence[Row], chosen: Row, space: Space, found: Mapping[str, float]) -> str:
    ranges = space.models[chosen.model].ranges
    if not ranges:
        return "Nothing of it was searched."
    mine = [row for row in rows if row.model == chosen.model]
    good, defaults = best_quarter(mine), space.models[chosen.model].base.settings()
    lines = [
        [
            name,
            f"{found[name]:.0%}" if found else "–",
            str(ranges[name]),
            _short(defaults[name]),
            f"{_short(chosen.settings[name])}{_edge(chosen.settings[name], ranges[name])}",
            _spread([row.settings[name] for row in good], numbers=isinstance(ranges[name], Between)),
        ]
        for name in sorted(ranges, key=lambda name: -found.get(name, 0))
    ]
    header = ["setting", "importance", "searched", "default", "chosen", f"best quarter ({len(good)} of its trials)"]
    note = (
        "Importance: how much the setting decides whether a trial is among the best quarter (PED-ANOVA, shares of "
        "100%), pruned trials counted by what they had come to. A hint from few trials, no measurement."
        if found
        else f"Fewer than {FEWEST} trials, or a single setting: too little to say how important each is."
    )
    return f"{table(header, lines)}\n\n{note}"


def _space(space: Space) -> str:
    lines = [[name, s, str(r)] for name, model in space.models.items() for s, r in model.ranges.items()]
    return table(["model", "setting", "values"], lines)


def _rest(config: TrainConfig, run: Run, rows: Sequence[Row]) -> str:
    searched = {name for row in rows for name in row.settings}
    alike = [f"`{name}` {config.settings()[name]}" for name in ("dim", "seed") if name not in searched]
    return (
        f"In all trials: {', '.join(alike)}; all else as the recipe of the model has it, or as it was set. "
        f"Data: {', '.join(f'{name} {count:,}' for name, count in run.split.statistics().items())}; fingerprint "
        f"`{run.split.fingerprint}`."
    )


def _edge(value: object, values: Between | Choice) -> str:
    """Says so where a value lies so near an end of what was searched that a better one may lie beyond."""
    return " (near the end)" if isinstance(values, Between) and not 0.05 < values.place(value) < 0.95 else ""


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _spread(values: Sequence[object], numbers: bool) -> str:
    if numbers and len(set(values)) > 1:
        return f"{_short(min(values))} to {_short(max(values))}"
    return ", ".join(map(_short, dict.fromkeys(values)))
