"""The systems of the paper's Table 3, its ablations and others, each with the small grid it is tuned on.

Every system gets as many tuning trials as any other: first the shared alternatives (`StudyConfig.tune`: how strongly
the weights are regularised), then, from the best of those, its own. Systems without hyper-parameters of their own try
another margin instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Overrides = Mapping[str, object]
"""TrainConfig field -> value."""


@dataclass(frozen=True)
class System:
    """One row of a comparison."""

    title: str
    overrides: Overrides
    """What sets it apart from the study's flags."""
    own: tuple[Overrides, Overrides]
    """Two alternatives to its defaults, tried on validation."""
    task: str = "train"
    """See `gdns_tf.studies.trial.TASKS`."""
    shared: tuple[Overrides, ...] = ()
    """In place of the study's shared alternatives, where those mean nothing to it; as many of them as those are."""
    l2_factor: float = 1.0
    """Scales the L2 strength of the flags and of the shared alternatives. The studies train without uniform negatives
    at the start (`uniform_epochs`=0), and where all are hard ones, as of a sampler that picks by score from the first
    step on, what suits uniform ones keeps the factors at zero."""
    tuned_options: bool = False
    """Whether the alternatives are options of a baseline and not settings."""
    paper: tuple[float, float, float] | None = None
    """Table 3, MovieLens-1M: test NDCG@1, NDCG@3, Recall@3."""
    released: tuple[float, float, float] | None = None
    """Of the weights that SRNS's authors published, on the same split (their README)."""

    @property
    def published(self) -> dict[str, tuple[float, float, float] | None]:
        """Where from -> figures."""
        return {"paper": self.paper, "released weights": self.released}


def _sampler(name: str, title: str, *own: Overrides, **others: object) -> System:
    return System(title, {"sampler": name}, own, **others)


_MARGINS = ({"margin": 0.5}, {"margin": 2.0})
_TEMPERATURES = ({"temperature": 0.5}, {"temperature": 2.0})
_CANDIDATES = ({"num_candidates": 48}, {"num_candidates": 96})

SYSTEMS: dict[str, System] = {
    "enmf": _sampler(
        "enmf",
        "ENMF",
        {"negative_weight": 0.2},
        {"negative_weight": 0.4},
        shared=({"l2": 0.0, "dropout": 0.15}, {"l2": 0.0, "dropout": 0.25}, {"l2": 0.002, "dropout": 0.15}),
        paper=(0.1846, 0.3021, 0.3882),
        released=(0.1846, 0.2970, 0.3804),
    ),
    "uniform": _sampler(
        "uniform", "Uniform", *_MARGINS, paper=(0.1744, 0.2846, 0.3663), released=(0.1744, 0.2846, 0.3663)
    ),
    "nncf": _sampler(
        "nncf",
        "NNCF",
        {"popularity_power": 0.25},
        {"popularity_power": 0.5},
        paper=(0.0829, 0.1478, 0.1971),
        released=(0.0831, 0.1428, 0.1873),
    ),
    "aobpr": _sampler(
        "aobpr",
        "AOBPR",
        {"rank_scale": 0.05},
        {"rank_scale": 0.3},
        paper=(0.1802, 0.2905, 0.3728),
        released=(0.1782, 0.2907, 0.3749),
    ),
    "irgan": _sampler(
        "irgan",
        "IRGAN",
        *_TEMPERATURES,
        paper=(0.1755, 0.2877, 0.3708),
        released=(0.1763, 0.2878, 0.3706),
    ),
    "rns_as": _sampler(
        "rns_as",
        "RNS-AS",
        *_TEMPERATURES,
        paper=(0.1823, 0.2932, 0.3754),
        released=(0.1810, 0.2950, 0.3801),
    ),
    "advir": _sampler(
        "advir",
        "AdvIR",
        {"perturbation": 0.001},
        {"perturbation": 0.01},
        paper=(0.1790, 0.2941, 0.3792),
        released=(0.1792, 0.2889, 0.3699),
    ),
    "srns": System(
        "SRNS",
        # With factors that start at .01 more of the stronger L2s ended near zero (single runs, by validation).
        {"sampler": "srns", "memory_size": 64, "num_candidates": 64, "init_scale": 0.1},
        ({"temperature": 10.0}, {"deviation_weight": 5.0}),  # of the authors' command line
        l2_factor=0.25,
        paper=(0.1933, 0.3070, 0.3912),
        released=(0.1911, 0.3056, 0.3907),
    ),
    "gdns": _sampler("gdns", "GDNS", *_CANDIDATES, paper=(0.1936, 0.3101, 0.4007)),
    "gdns_pairwise": System("GDNS pair-wise", {"sampler": "gdns", "pairing": "pair"}, _CANDIDATES),
    "gdns_without_g": _sampler("gdns_without_g", "GDNS without G", *_CANDIDATES),
    "uniform_pairwise": System("Uniform pair-wise", {"sampler": "uniform", "pairing": "pair"}, _MARGINS),
    "dns": _sampler("dns", "DNS", *_CANDIDATES, l2_factor=0.25),
    "dns_mn": System(
        "DNS(M, N)",
        {"sampler": "dns_mn", "top_candidates": 48},
        ({"top_candidates": 40}, {"top_candidates": 56}),
        l2_factor=0.25,
    ),
    "softmax": _sampler("softmax", "Softmax-v", {"radius": 0.1}, {"radius": 1.0}, l2_factor=0.25),
    "ahns": _sampler("ahns", "AHNS", {"ahns_beta": 0.5}, {"ahns_beta": 1.0}),
    "mixgcf": _sampler("mixgcf", "MixGCF (positive mixing)", *_CANDIDATES, l2_factor=0.25),
    "popularity": System("Popularity", {}, ({}, {}), task="popularity"),
    "ials": System(
        "iALS",
        {},
        ({"alpha": 4.0}, {"alpha": 8.0}),
        task="ials",
        shared=({"regularization": 10.0}, {"regularization": 30.0}, {"regularization": 3.0}),
        tuned_options=True,
    ),
}

TABLE3 = ("enmf", "uniform", "nncf", "aobpr", "irgan", "rns_as", "advir", "srns", "gdns")
ABLATIONS = ("gdns_pairwise", "gdns_without_g")
