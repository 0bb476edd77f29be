"""What the study `peers` compares: our model, tuned and as it comes, and the baselines that users would take instead.

The ranges are those of the papers and of comparisons that tuned the baselines with care (Dacrema et al., RecSys 2019;
Rendle et al., RecSys 2022), so wide that the best of MovieLens-1M and of sparser sets should lie inside. The defaults
of the baselines were set after some 40 single runs on validation items of MovieLens-1M, on which our recipe was found
too, by several times as many.

LightGCN is left out: the packages that train it (Cornac with DGL, LibRecommender, RecBole) bring PyTorch, and the last
NumPy 1, which does not go with ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gdns_tf.evaluation.baselines import BASELINES
from gdns_tf.studies.search import Range
from gdns_tf.training.config import LARGEST_DIM, TrainConfig
from pipelines.checks import is_count
from pipelines.errors import InputError
from pipelines.nearest import did_you_mean

TRAIN = "train"
"""The task of ours."""


@dataclass(frozen=True)
class Peer:
    """One kind of recommender."""

    title: str
    task: str
    """See `gdns_tf.studies.trial.TASKS`."""
    space: Mapping[str, Range] | None = None
    """What is tuned, its defaults apart; None for ours, where it depends on the recipe: see `ours`."""

    @property
    def learns_factors(self) -> bool:
        """Whether it comes at several sizes and from a random start."""
        return self.task == TRAIN or BASELINES[self.task].learns_factors


OURS, UNTUNED = "gdns_tf", "gdns_tf_defaults"

PEERS: dict[str, Peer] = {
    "popularity": Peer("Popularity", "popularity", {}),
    "knn": Peer("Item-kNN", "knn", {"top_k": Range(10, 500, whole=True), "shrinkage": Range(1, 300)}),
    "ease": Peer("EASE", "ease", {"regularization": Range(30, 3000)}),
    "ials_scaled": Peer("iALS", "ials_scaled", {"alpha0": Range(0.03, 1), "regularization": Range(0.001, 0.03)}),
    "bpr": Peer(
        "BPR",
        "bpr",
        {
            "learning_rate": Range(0.01, 0.2),
            "regularization": Range(0.0005, 0.05),
            "iterations": Range(30, 300, whole=True),
        },
    ),
    "warp": Peer(
        "WARP",
        "warp",
        {
            "learning_rate": Range(0.02, 0.1),
            "regularization": Range(1e-7, 1e-4),
            "iterations": Range(5, 40, whole=True),
        },
    ),
    OURS: Peer("gdns_tf", TRAIN),
    UNTUNED: Peer("gdns_tf untuned", TRAIN, {}),
}
"""Name -> what it is; a new baseline of `BASELINES` needs its line here to be compared."""


def ours(recipe: TrainConfig) -> dict[str, Range]:
    """What is tuned of ours: from half to double of what the recipe says, of what it has.

    Shares stay below .9.
    """
    settings = recipe.settings()
    names = [name for name in ("user_l2", "history_dropout", "learning_rate") if settings.get(name)]
    most = {"history_dropout": 0.9}
    return {n: Range(settings[n] / 2, min(2 * settings[n], most.get(n, float("inf")))) for n in names}


@dataclass(frozen=True)
class Contender:
    """A peer of one size."""

    name: str
    """A key of PEERS."""
    dim: int | None
    """d; None where it has none."""

    @property
    def peer(self) -> Peer:
        return PEERS[self.name]

    @property
    def label(self) -> str:
        """Of its trials, which ours has in common with ours untuned."""
        name = OURS if self.name == UNTUNED else self.name
        return name if self.dim is None else f"{name}_{self.dim}"

    @property
    def title(self) -> str:
        return self.peer.title if self.dim is None else f"{self.peer.title} (d = {self.dim})"


def contenders(entries: Sequence[str], dims: Sequence[int]) -> list[Contender]:
    """What flags name: each entry a key of PEERS, at all sizes, or "name:d", at one.

    Raises:
      InputError: there is no such peer, or the size is no whole number above 0, or too large.
    """
    found = []
    for entry in entries:
        name, colon, size = entry.partition(":")
        if name not in PEERS:
            raise InputError(
                f"`peers`: there is no {name!r}{did_you_mean(name, PEERS)}", remedy=f"Choose among {', '.join(PEERS)}."
            )
        if not PEERS[name].learns_factors:
            if colon:
                raise InputError(f"`peers`: {name} has no size", remedy=f"Write {name}.")
            found.append(Contender(name, None))
        elif not colon:
            found += [Contender(name, dim) for dim in dims]
        elif is_count(size, LARGEST_DIM):
            found.append(Contender(name, int(size)))
        else:
            raise InputError(f"`peers`: {entry!r} has no size after the colon", remedy=f"Write {name}:64, or {name}.")
    return list(dict.fromkeys(found))
