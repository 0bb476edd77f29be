"""Names of scalars, such that TensorBoard, which sorts them, has them in the order in which one looks at them."""

from collections.abc import Iterable, Mapping

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

LOSS = "curves/train_loss"


def valid(metric: str) -> str:
    """A metric of the validation items, after an epoch."""
    return f"curves/valid_{metric}"


def of_popularity(metric: str) -> str:
    """What popularity comes to in it: a level line."""
    return f"popularity/valid_{metric}"


def of_sampler(name: str) -> str:
    """What a sampler goes by, or what comes of it."""
    return f"sampler/{name}"


def kept(name: str) -> str:
    """A figure of the weights that were kept."""
    return f"weights_kept/{name}"


def shown(metrics: Iterable[str], select: str) -> list[str]:
    """Those of some metrics that have a curve: NDCG, Recall, and the one that weights are chosen by.

    With one relevant item hr@K is recall@K, and recall@1 is ndcg@1. All are in `history.csv`.
    """
    return [n for n in metrics if n == select or (n.startswith(("ndcg", "recall")) and n != "recall@1")]


def title(metric: str) -> str:
    """A metric as charts and tables have it: "NDCG@3", "full Recall@20"."""
    bare = metric.removeprefix("full_")
    kind, at, k = bare.partition("@")
    return ("full " if bare != metric else "") + {"recall": "Recall"}.get(kind, kind.upper()) + at + k


def validation_summaries(metrics: Mapping[str, float], popularity: Mapping[str, float], select: str) -> list[Summary]:
    """What a validation found, each metric beside its level by popularity, where that is known."""
    found = []
    for name in shown(metrics, select):
        against = "all items" if name.startswith("full_") else "items drawn at random"
        told = f"{title(name)} of the validation items, each ranked against {against}."
        if name == select:
            told += " The weights of the epoch where it is highest are kept."
        if name in popularity:
            told += f" A list of the most popular items has {popularity[name]:.4f}."
            found.append(scalar_pb(of_popularity(name), popularity[name], "Of a list of the most popular items."))
        found.append(scalar_pb(valid(name), metrics[name], told))
    return found
