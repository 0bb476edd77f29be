"""What to train and how; each field is a flag of the same name."""

from dataclasses import dataclass, fields

from gdns_tf.models.losses import LOSSES, PAIRINGS
from gdns_tf.samplers import SAMPLERS
from gdns_tf.samplers.config import SamplerConfig, require
from pipelines.config import flag

OPTIMIZERS = ("adagrad", "adam", "sgd")


@dataclass(frozen=True)
class TrainConfig(SamplerConfig):
    """A training run. The defaults are the paper's settings (section 4.4) where it gives them."""

    output_dir: str = flag("", "Folder of the run: flags, metrics, weights, checkpoints, TensorBoard. Required.")
    overwrite: bool = flag(False, "Start afresh in an output_dir that holds a run, deleting that run.")
    seed: int = flag(0, "Seed of initialisation, batches, candidates and dropout.")

    sampler: str = flag("gdns", "How negatives are chosen.", tuple(SAMPLERS))
    group_size: int = flag(32, "N: positives, and negatives, of a user in a step.")
    num_candidates: int = flag(64, "M: unobserved items drawn for a user in a step, to choose N from.")

    loss: str = flag("hinge", "Loss of a pair.", tuple(LOSSES))
    pairing: str = flag(
        "group", "group: every positive against every negative (Eq. 6); pair: k-th against k-th (Eq. 3).", PAIRINGS
    )
    margin: float = flag(1.0, "gamma.")
    l2: float = flag(0.0, "L2 regularisation of p_u, q_i and q_j in every pair.")
    dropout: float = flag(0.0, "Share of the latent factors hidden, one mask a user and step.")
    user_weight_power: float = flag(0.0, "Weighs a user's loss by (its number of positives / mean) to this power.")
    average_decay: float = flag(0.0, "Decay an epoch of the moving average of the weights that is evaluated; 0: none.")

    dim: int = flag(32, "d: latent factors.")
    init_scale: float = flag(0.01, "Standard deviation of P and Q at the start.")
    optimizer: str = flag("adagrad", "Optimiser.", OPTIMIZERS)
    learning_rate: float = flag(0.09, "Learning rate.")
    batch_size: int = flag(1024, "B: users a step.")
    jit_compile: bool = flag(False, "Compile the step by XLA: for GPUs; slower on CPUs.")

    max_epochs: int = flag(2500, "Stop after this many epochs.")
    max_minutes: float = flag(0.0, "Stop after this many minutes of training, resumed runs counted in; 0: no limit.")
    eval_every: int = flag(10, "Epochs between validations.")
    patience: int = flag(15, "Stop after this many validations without a better NDCG@3.")
    checkpoint_minutes: float = flag(2.0, "Minutes between checkpoints.")
    tensorboard: bool = flag(True, "Write TensorBoard logs.")
    show_users: int = flag(3, "For how many users to print recommendations at the end.")
    export_dir: str = flag(
        "", "At the end export for TensorFlow Serving, as the next version in this folder; empty: no."
    )

    def __post_init__(self) -> None:
        """Raises InputError, naming the flag, for values that cannot work."""
        self.check()
        for name in ("group_size", "num_candidates", "dim", "batch_size", "max_epochs", "eval_every", "patience"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")
        for name in ("learning_rate", "init_scale"):
            require(getattr(self, name) > 0, name, getattr(self, name), "must be above 0")
        for name in (
            "margin",
            "l2",
            "user_weight_power",
            "max_minutes",
            "checkpoint_minutes",
            "show_users",
        ):
            require(getattr(self, name) >= 0, name, getattr(self, name), "must not be negative")
        for name in ("dropout", "average_decay"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "must lie in [0, 1)")
        require(
            self.num_candidates >= self.group_size,
            "num_candidates",
            self.num_candidates,
            f"must be at least --group_size={self.group_size}: the negatives are chosen among the candidates",
        )

    def changes(self, other: "TrainConfig") -> list[str]:
        """Names of the fields that differ and whose difference would make another run of this."""
        harmless = {
            "output_dir",
            "overwrite",
            "max_epochs",
            "max_minutes",
            "checkpoint_minutes",
            "tensorboard",
            "show_users",
            "export_dir",
        }
        return [
            f.name for f in fields(self) if f.name not in harmless and getattr(self, f.name) != getattr(other, f.name)
        ]
