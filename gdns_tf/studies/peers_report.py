"""The report of the study `peers`."""

from collections.abc import Mapping, Sequence

import numpy as np

from gdns_tf.evaluation.selection import SelectionMetric
from gdns_tf.studies import plots
from gdns_tf.studies.comparison import compare_pairs, per_user
from gdns_tf.studies.markdown import interval, mean_sd, metric_title, provenance, table, verdicts
from gdns_tf.studies.peer_systems import OURS, PEERS, UNTUNED, Contender
from gdns_tf.studies.session import METRICS, Session
from gdns_tf.studies.trial import LIST_LENGTH, Result
from gdns_tf.studies.tuning import Tuned, describe

Finals = Mapping[Contender, Sequence[Result]]
"""System -> its results, a seed each; one where it depends on no seed."""

FULL = ("ndcg@10", "ndcg@20", "recall@10", "recall@20")
TESTED = {"ndcg@3": "test", "ndcg@20": "full_test"}
"""What is tested -> by which ranks."""
FAR_BELOW = "popularity"
"""Left out of the plots, where it would press all others together."""


def report(session: Session, tuned: Mapping[Contender, Tuned], finals: Finals) -> str:
    """`report.md`; draws the plots on the way."""
    results = [result for group in finals.values() for result in group]
    seeds = len(session.config.seeds)
    _plot(session, finals)
    return "\n".join(
        [
            f"# {len(finals)} systems on {session.data.dataset}",
            "",
            _ranking(session, finals),
            "",
            f"Test, mean ± standard deviation over {seeds} seed(s); what depends on no seed was run once. Left: ranked "
            "against 100 fixed negatives. Full: against all items but those of training and validation. "
            f"Hyper-parameters and epochs were chosen by validation {metric_title(session.train.select)}. "
            f"{PEERS[UNTUNED].title}: ours as it comes, nothing tuned but the epoch.",
            "",
            "![test NDCG@3 over seconds](cost.png)",
            "",
            "![test full NDCG@20 over seconds](cost_full.png)",
            "",
            *_significance(session, finals),
            *_lists(finals),
            *_cost(session, finals),
            *_tuning(session, tuned),
            provenance(session, results, session.config.seeds),
        ]
    )


def _ranking(session: Session, finals: Finals) -> str:
    select = SelectionMetric(session.train.select)
    header = ["system", *METRICS.values(), *(f"full {metric_title(m)}" for m in FULL)]
    rows = []
    for system, group in finals.items():
        full = [r.full_means("test") for r in group]
        row = [system.title, *(mean_sd([r.metrics["test"][m] for r in group]) for m in METRICS)]
        row += [mean_sd([means[m] for means in full]) for m in FULL]
        rows.append([*row, mean_sd([r.selected(select) for r in group])])
    return table([*header, f"validation {metric_title(select.name)}"], rows)


def _plot(session: Session, finals: Finals) -> None:
    for name, (metric, ranks) in zip(("cost", "cost_full"), TESTED.items(), strict=True):
        lines: dict[str, list[tuple[float, float, str]]] = {}
        for system, group in finals.items():
            if system.name != FAR_BELOW:
                value = per_user([r.ranks[ranks] for r in group], metric).mean()
                point = (_seconds(group).mean(), value, str(system.dim or ""))
                lines.setdefault(system.peer.title, []).append(point)
        title = ("full " if ranks == "full_test" else "") + metric_title(metric)
        if lines:
            plots.families(session.folder / f"{name}.png", lines, [PEERS[n].title for n in (OURS, UNTUNED)], title)


def _seconds(group: Sequence[Result]) -> np.ndarray:
    return np.array([r.seconds_to_best for r in group])


def opponents(session: Session, finals: Finals) -> dict[Contender, Contender]:
    """Each other system -> ours to compare it with: of its size or, where there is none, the best on validation."""
    select = SelectionMetric(session.train.select)
    mine = [system for system in finals if system.name == OURS]
    if not mine:
        return {}
    best = max(mine, key=lambda system: np.mean([r.selected(select) for r in finals[system]]))
    of_size = {system.dim: system for system in mine}
    return {system: of_size.get(system.dim, best) for system in finals if system.name != OURS}


def _significance(session: Session, finals: Finals) -> list[str]:
    against = opponents(session, finals)
    if not against:
        return []
    seeds = len(session.config.seeds)

    def of_users(system: Contender, metric: str) -> np.ndarray:
        values = per_user([r.ranks[TESTED[metric]] for r in finals[system]], metric)
        return np.broadcast_to(values, (seeds, values.shape[1]))  # what depends on no seed is the same with each

    found = {m: compare_pairs({s: (of_users(s, m), of_users(o, m)) for s, o in against.items()}) for m in TESTED}
    titles = {system: system.title for system in against} | {OURS: PEERS[OURS].title}
    names = {m: ("full " if ranks == "full_test" else "") + metric_title(m) for m, ranks in TESTED.items()}
    rows = [[s.title, o.title, *(interval(found[m][s]) for m in TESTED)] for s, o in against.items()]
    return [
        f"## Against {PEERS[OURS].title}",
        "",
        table(["system", "less that of", *names.values()], rows),
        "",
        "Difference on test from ours, tuned, of the same size or, where there is none, of the size that was best on "
        "validation; 95% interval, and p: paired bootstrap over users and seeds, p corrected for "
        f"{len(rows)} comparisons (Holm)."
        + (" One seed: the spread between seeds is not in it." if seeds == 1 else ""),
        "",
        *(f"- {verdicts(found[m], titles, names[m], OURS)}" for m in TESTED),
        "",
    ]


def _lists(finals: Finals) -> list[str]:
    columns = {name: f"{name}@{LIST_LENGTH}" for name in ("coverage", "gini", "novelty", "popularity")}
    rows = [
        [system.title, *(mean_sd([r.measures[column] for r in group]) for column in columns.values())]
        for system, group in finals.items()
    ]
    return [
        "## What they show",
        "",
        table(["system", *columns.values()], rows),
        "",
        f"Of the {LIST_LENGTH} items that each user is shown first. Coverage: share of the catalogue that anybody is "
        "shown. Gini: 0 where all items are shown alike, near 1 where few take all places. Novelty: mean of -log2 of "
        "the share of users who have an item, in bits. Popularity: mean of that share.",
        "",
    ]


def _cost(session: Session, finals: Finals) -> list[str]:
    rows = []
    for system, group in finals.items():
        seconds = _seconds(group)
        peak, before = (np.array([r.measures[name] for r in group]) / 2**20 for name in ("memory", "memory_before"))
        spread = f" ± {seconds.std(ddof=1):.1f}" if len(seconds) > 1 else ""
        rows.append(
            [system.title, f"{seconds.mean():.1f}{spread}", f"{peak.mean():.0f}", f"{(peak - before).mean():.0f}"]
        )
    return [
        "## Cost",
        "",
        table(["system", "seconds to best", "peak memory, MiB", "of it above the start"], rows),
        "",
        "Seconds of training until the epoch with the best validation, compilation counted in and validations left "
        "out; of baselines, all of their fitting. Trials ran "
        f"{session.config.workers} at a time, the machine's cores shared out among them; BPR and WARP use one core, so "
        "that a seed gives one model. Memory: maximum resident set of the trial's own process, with Python, "
        "TensorFlow, the data and the evaluation; the last column leaves out what was there before training.",
        "",
    ]


def _tuning(session: Session, tuned: Mapping[Contender, Tuned]) -> list[str]:
    rows = [
        [
            system.title,
            describe(choice.chosen) or "defaults",
            "; ".join(f"{describe(option) or 'defaults'}: {value:.4f}" for option, value in choice.tried.items()),
        ]
        for system, choice in tuned.items()
        if choice.tried
    ]
    seeds = ", ".join(map(str, session.config.tuning_seeds))
    return [
        "## Tuning",
        "",
        f"By validation {metric_title(session.train.select)} on seed {seeds}: {session.config.tuning_trials} "
        "setting(s) of every system that has any, its defaults and points of a Halton sequence over its ranges.",
        "",
        table(["system", "chosen", "tried"], rows),
        "",
    ]
