"""The model card: README.md of a version folder."""

import json
from collections.abc import Mapping

import numpy as np

from gdns_tf.serving.float16 import format_effect
from gdns_tf.serving.index import format_cells
from gdns_tf.training.recipes import PAIRS, SAMPLING


def format_card(description: dict, examples: Mapping[str, Mapping[str, np.ndarray]], warm: bool) -> str:
    """The card as Markdown.

    Args:
      description: what `describe` tells.
      examples: a request for each signature.
      warm: whether the version has warm-up requests.
    """
    about, name = description, description["model"]
    padding, limits = about["padding"], about["limits"]
    sections = [
        f"# {name}, version {about['version']}",
        f"Top-K recommendations{_format_made_by(about['flags'])}, d = {about['dim']}. Exported "
        f"{about['exported_at']} by gdns_tf {about['versions']['gdns_tf']}; needs TensorFlow "
        f"{about['versions']['tensorflow']} or TensorFlow Serving of that version or later, and nothing else.",
        "## Data",
        _table(("", ""), about["data"].items()),
        *([_format_by_history(about)] if about["num_users_by_history"] else []),
        f"Fingerprint {about['data_fingerprint']}. User ids are of type {about['user_id_type']}, item ids "
        f"{about['item_id_type']}.",
        "## Metrics",
        _format_metrics(about["metrics"]),
        *([f"**Exported, though not fit to be served**: {'; '.join(o)}."] if (o := about.get("objections")) else []),
        *([about["note"]] if "note" in about else []),
        *([format_effect(about["rounding"])] if "rounding" in about else []),
        "## How to call",
        "Inputs and outputs by signature: `saved_model_cli show --dir . --all`. One request of each, for the REST API "
        f"(`POST /v1/models/{name}:predict`):",
        "```json\n"
        + "\n".join(
            json.dumps(
                {"signature_name": signature, "inputs": {k: v.tolist() for k, v in inputs.items()}}, ensure_ascii=False
            )
            for signature, inputs in examples.items()
        )
        + "\n```",
        "In Python, where TensorFlow is:",
        '```python\nimport tensorflow as tf\n\nmodel = tf.saved_model.load(".")\n'
        f"users = tf.constant({examples['serving_default']['user_ids'].tolist()!r}, tf.{about['user_id_type']})\n"
        'model.signatures["serving_default"](user_ids=users)\n```',
        "## Limits",
        "\n".join(
            f"- {limit}"
            for limit in (
                "It knows the users and items of its data. Unknown users get the most popular items and `known_user` "
                "false; new items need a new version.",
                f"A new user's history can be given to `retrieve_by_history`, {_by_history(about['fold_in'])}.",
                "Seen items, which it leaves out, are those known when it was exported.",
                "Scores order the items of one user; they are no probabilities and do not compare users.",
                f"Slots without an item hold the id {padding['item_id']!r} and the score {padding['score']:.7g}.",
                "Every item is scored for every request: time grows with batch size times catalogue.",
                *((format_cells(about["index"]),) if about["index"] else ()),
                f"A request may have {limits['users']:,} users, ask for {limits['k']:,} items each, and bring lists of "
                f"{limits['ids']:,} ids; no input or output may have more than {limits['entries']:,} entries. What "
                "asks for more is refused with a message: split it, or export with other `--max_users`, `--max_k`, "
                "`--max_ids`.",
                *(() if warm else ("It has no warm-up requests: the first request of each kind is slow.",)),
            )
        ),
        *(["## Flags", _format_flags(about["flags"])] if about["flags"] else []),
    ]
    return "\n\n".join(sections) + "\n"


def _format_made_by(flags: dict) -> str:
    """Names the scorer and the sampler, where they are known."""
    if not {"scorer", "sampler"} <= flags.keys():
        return ""
    sampled = flags.get("objective", PAIRS) in SAMPLING
    how = f"the sampler `{flags['sampler']}`" if sampled else "a softmax over the whole catalogue"
    return f" by the scorer `{flags['scorer']}`, trained with {how}"


def _format_by_history(about: dict) -> str:
    scores = "" if about["fold_in"] is None else ", so that their scores do not compare with those of others"
    return (
        f"{about['num_users_by_history']:,} more users have too few items to be trained on. They are served by those, "
        f"as by `retrieve_by_history`{scores}."
    )


def _format_flags(flags: dict) -> str:
    return "```\n" + "\n".join(f"--{flag}={value}" for flag, value in flags.items()) + "\n```"


def _by_history(fold_in: dict | None) -> str:
    if fold_in is None:
        return "which serves them exactly as a known user with these items"
    return f"which folds it in (alpha = {fold_in['alpha']:g}, l2 = {fold_in['l2']:g})"


def _format_metrics(metrics: dict) -> str:
    if not metrics:
        return "Unknown: the run has no metrics.json."
    popular = metrics.get("popularity")  # which former versions did not note
    columns = {}
    for held_out, title in (("valid", "validation"), ("test", "test")):
        columns[title] = metrics[held_out]
        if popular:
            columns[f"popularity, {title}"] = popular[held_out]
    rows = ((name, *(f"{column[name]:.4f}" for column in columns.values())) for name in metrics["valid"])
    sample = metrics.get("sample")
    on_sample = f"On a sample of {sample['users']:,} users of {sample['of']:,}. " if sample else ""
    return on_sample + (
        "The held-out item among 100 fixed items that the user has not (full_: among all), ties against it; "
        f"epoch {metrics['best_epoch']}.\n\n" + _table(("", *columns), rows)
    )


def _table(header: tuple, rows: object) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
