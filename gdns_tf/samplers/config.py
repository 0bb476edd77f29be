"""The flags of the samplers; each says whose it is."""

from dataclasses import dataclass, fields

from pipelines.config import flag
from pipelines.errors import InputError


@dataclass(frozen=True)
class SamplerConfig:
    """What the samplers are told. A flag of a sampler that is not chosen has no effect."""

    smoothing: float = flag(0.2, "gdns, gdns_without_g: alpha of Eq. 5.")
    epsilon: float = flag(1e-8, "gdns, gdns_without_g: epsilon of Eq. 5.")
    gain_slots: int = flag(
        0, "gdns, gdns_without_g: items a user that the gain table keeps; 0: all (8 bytes a user and item)."
    )
    popularity_power: float = flag(0.75, "nncf: negatives are drawn in proportion to popularity to this power.")
    rank_scale: float = flag(0.1, "aobpr: mean rank of the geometric draw, as a share of the items.")
    generator_rate: float = flag(0.05, "irgan, rns_as, advir: learning rate of the generator.")
    temperature: float = flag(1.0, "irgan, rns_as, advir, srns: of the softmax over candidates.")
    perturbation: float = flag(0.003, "advir: length of the adversarial perturbation of an item's factors.")
    perturbed_weight: float = flag(1.0, "advir: weight of the perturbed loss.")
    memory_size: int = flag(64, "srns: items that each user's memory holds.")
    deviation_weight: float = flag(1.0, "srns: alpha, weight of the standard deviation beside the score.")
    warmup_epochs: int = flag(50, "srns: epochs over which that weight rises to its full value.")
    negative_weight: float = flag(0.3, "enmf: weight of an unobserved pair; an observed one has 1.")
    top_candidates: int = flag(48, "dns_mn: negatives are drawn from this many of the highest-scored candidates.")
    radius: float = flag(0.5, "softmax: rho, how far from uniform the weights of the negatives may go.")
    ahns_alpha: float = flag(1.0, "ahns: added to the positive's score before the power.")
    ahns_beta: float = flag(0.1, "ahns: factor of the hardness.")
    ahns_power: float = flag(-2.0, "ahns: p; the more negative, the easier the negatives of high-scored positives.")

    def check(self) -> None:
        """Raises InputError, naming the flag, for values that cannot work."""
        for name in ("epsilon", "rank_scale", "generator_rate", "temperature", "radius", "ahns_beta"):
            require(getattr(self, name) > 0, name, getattr(self, name), "must be above 0")
        for name in ("gain_slots", "perturbation", "perturbed_weight", "warmup_epochs", "negative_weight"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "must not be negative")
        require(0 <= self.smoothing <= 1, "smoothing", self.smoothing, "must lie in [0, 1]")


def without_effect(sampler: str) -> set[str]:
    """The flags here that a sampler does not look at, by what their help says."""
    return {f.name for f in fields(SamplerConfig) if sampler not in f.metadata["help"].split(":")[0].split(", ")}


def require(good: bool, name: str, value: object, rule: str) -> None:
    """Raises InputError, naming the flag, where a value is not good."""
    if not good:
        raise InputError(f"--{name}={value} {rule}")
