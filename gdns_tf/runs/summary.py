"""What a finished run prints."""

import numpy as np

from gdns_tf.evaluation.top_items import top_items
from gdns_tf.models.factors import Factors
from pipelines.split import Split


def format_metrics(metrics: dict) -> str:
    """A table of validation and test metrics, those of popularity beside them."""
    popular = metrics["popularity"]
    sample = metrics.get("sample")
    lines = [
        *([f"Measured on a sample of {sample['users']:,} users of {sample['of']:,}, not on all."] if sample else []),
        f"Best epoch {metrics['best_epoch']} of {metrics['epochs']} (stopped by {metrics['stopped_by']}), "
        f"{metrics['seconds_per_epoch'] * 1e3:.0f} ms an epoch",
        f"{'':14}{'validation':>12}{'popularity':>12}{'test':>12}{'popularity':>12}",
    ]
    for name in metrics["valid"]:
        figures = (part[held_out][name] for held_out in ("valid", "test") for part in (metrics, popular))
        lines.append(f"{name:14}" + "".join(f"{figure:12.4f}" for figure in figures))
    return "\n".join(lines)


def format_recommendations(split: Split, factors: Factors, num_users: int, count: int = 5) -> str:
    """Some users' last training items and best recommendations, by title."""
    train = split.train
    names = train.item_ids if train.titles is None else train.titles
    users = np.linspace(0, train.num_users - 1, min(num_users, train.num_users)).astype(int)
    lines = []
    seen = train.select(users)
    best = top_items(factors.of_users(users), seen, np.arange(len(users)), count)
    for row, (user, items) in enumerate(zip(users, best, strict=True)):
        liked = "; ".join(str(names[item]) for item in seen.of(row)[:count])
        lines += [f"User {train.user_ids[user]} liked: {liked}", "  may like:"]
        lines += [f"  {place}. {names[item]}" for place, item in enumerate(items[items >= 0], start=1)]
    return "\n".join(lines)
