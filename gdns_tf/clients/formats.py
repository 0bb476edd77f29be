"""Answers as text: JSON for programs, tables for people."""

import dataclasses
import json

from gdns_tf.clients.errors import printable
from gdns_tf.clients.results import Entry, Recommendations

_UNKNOWN = {"user": "unknown user", "history": "no known item in it", "similar": "unknown item"}


def format_json(kind: str, answer: Recommendations) -> str:
    """One JSON document: a list with an object for each row.

    Args:
      kind: what was asked about, the key of it: "user", "history" or "similar".
      answer: the answer.
    """
    rows = []
    for place, row in enumerate(answer):
        result = {kind: row.query, "known": row.known, "items": [_as_dict(entry) for entry in row.entries]}
        if answer.num_unknown is not None:
            result["num_unknown"] = int(answer.num_unknown[place])
        rows.append(result)
    return json.dumps(rows, ensure_ascii=False, indent=1)


def _as_dict(entry: Entry) -> dict:
    """Its fields, reasons only where they were asked for."""
    return {name: value for name, value in dataclasses.asdict(entry).items() if name != "because" or value is not None}


def format_table(kind: str, answer: Recommendations) -> str:
    """The rows for people, with a word where the model does not know what it was asked about; arguments as above.

    Ids and titles are strangers' words: what a terminal would obey in them is left out.
    """
    blocks = []
    for place, row in enumerate(answer):
        name = printable(", ".join(map(str, row.query)) if kind == "history" else row.query)
        lines = [f"{kind.capitalize()} {name}"]
        if not row.known:
            lines[0] += f": {_UNKNOWN[kind]}" + ("" if kind == "similar" else "; the most popular items:")
        elif answer.num_unknown is not None and answer.num_unknown[place]:
            lines[0] += f" ({answer.num_unknown[place]} of them unknown)"
        width = max((len(printable(entry.item)) for entry in row.entries), default=0)
        for rank, entry in enumerate(row.entries, start=1):
            title = "" if entry.title is None else f"  {printable(entry.title)}"
            lines.append(f"{rank:4}. {printable(entry.item):>{width}} {entry.score:12.4f}{title}")
            if entry.because:
                told = ((printable(r.item if r.title is None else r.title), r.contribution) for r in entry.because)
                lines.append(" " * 6 + "because of " + ", ".join(f"{name} ({adds:+.4f})" for name, adds in told))
        if row.known and not row.entries:
            lines.append("  no item is left to recommend")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


FORMATS = {"table": format_table, "json": format_json}
"""What answers can be printed as."""
