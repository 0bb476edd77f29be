"""What a finished run prints."""

import numpy as np

from gdns_tf.evaluation.top_items import top_items
from gdns_tf.models.factors import Factors
from pipelines.split import Split


def format_metrics(metrics: dict) -> str:
    """A table of validation and test metrics."""
    lines = [
        f"Best epoch {metrics['best_epoch']} of {metrics['epochs']} (stopped by {metrics['stopped_by']}), "
        f"{metrics['seconds_per_epoch'] * 1e3:.0f} ms an epoch",
        f"{'':12}{'validation':>12}{'test':>12}",
    ]
    for name, value in metrics["valid"].items():
        lines.append(f"{name:12}{value:12.4f}{metrics['test'][name]:12.4f}")
    return "\n".join(lines)


def format_recommendations(split: Split, factors: Factors, num_users: int, count: int = 5) -> str:
    """Some users' last training items and best recommendations, by title."""
    train = split.train
    names = train.item_ids if train.titles is None else train.titles
    users = np.linspace(0, train.num_users - 1, min(num_users, train.num_users)).astype(int)
    lines = []
    for user, items in zip(users, top_items(factors, train, users, count), strict=True):
        liked = "; ".join(str(names[item]) for item in train.of(user)[:count])
        lines += [f"User {train.user_ids[user]} liked: {liked}", "  may like:"]
        lines += [f"  {place}. {names[item]}" for place, item in enumerate(items[items >= 0], start=1)]
    return "\n".join(lines)
