"""What to train and how; each field is a setting of `gdns_tf.fit` and a flag of the same name."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

import tensorflow as tf

from gdns_tf.evaluation.selection import SelectionMetric
from gdns_tf.models.losses import LOSSES, PAIRINGS
from gdns_tf.models.registry import SCORERS
from gdns_tf.models.scorer import HALF, Scorer, ScorerConfig
from gdns_tf.models.setup import Setup
from gdns_tf.registry import Registry
from gdns_tf.samplers.base import LARGEST_GROUP, LARGEST_NUM_CANDIDATES, Sampler, SamplerConfig
from gdns_tf.samplers.given import PREFIX, Given, GivenSampler
from gdns_tf.samplers.registry import SAMPLERS
from gdns_tf.training.recipes import (
    MEANT_FOR,
    MULTINOMIAL,
    NEEDS,
    PAIRS,
    RECIPES,
    SAMPLED_SOFTMAX,
    SAMPLING,
    WARM_START,
    users_a_step,
)
from pipelines.checks import Settings
from pipelines.config import flag, seed_flag
from pipelines.errors import InputError, require, shown
from pipelines.interactions import Interactions
from pipelines.nearest import did_you_mean
from pipelines.notices import notices
from pipelines.paths import is_remote, is_within

OPTIMIZERS = ("adagrad", "adam", "sgd")
FLOAT32 = "float32"
SCHEDULES = ("constant", "cosine")
STRATEGIES = ("none", "mirrored", "multiworker")
LARGEST_DIM = 2**16
MODEL = "model:"
"""Begins the setting `warm_start` of a run that began from a model in memory; its fingerprint follows."""
HARMLESS = {
    "output_dir",
    "overwrite",
    "refit",
    "max_epochs",
    "max_minutes",
    "checkpoint_minutes",
    "tensorboard",
    "show_users",
    "export_dir",
    "export_anyway",
    "keep_versions",
    "gain_memory_share",
    "jit_compile",
    "heartbeat_seconds",
}
"""Settings in which a run may differ when it is gone on with."""
_SILENCE = logging.Logger("silence", logging.CRITICAL + 1)


@dataclass(frozen=True)
class TrainConfig(Settings):
    """A training run. `paper.flags` in `configs/` has the settings of the paper (section 4.4).

    Settings of the sampler and the scorer are in dataclasses of their own; `from_settings` and `with_settings` take
    them all by name.

    Raises:
      InputError: a value cannot work; names the field.
    """

    output_dir: str = flag(
        "",
        "Folder of the run, local or gs://, s3://, az://: flags, metrics, weights, checkpoints, TensorBoard.",
        main=True,
        path=True,
    )
    overwrite: bool = flag(False, "Start afresh in an output_dir that holds a run, deleting that run.", main=True)
    warm_start: str = flag(
        "",
        "Begin from the weights of this finished run, matched by user and item ids: its folder, here or in a store.",
        main=True,
        path=True,
    )
    seed: int = seed_flag(0, "Seed of initialisation, batches, candidates and dropout.", main=True)

    scorer: str = flag("gmf", "What scores items for users.", main=True)
    sampler: str = flag("gdns", "How negatives are chosen; to name one chooses pairs, unless told.", main=True)
    group_size: int = flag(
        32,
        "N: negatives of a user in a step, and drawn positives; of samplers.",
        main=True,
        at_least=1,
        at_most=LARGEST_GROUP,
    )
    num_candidates: int = flag(
        64,
        "M: unobserved items drawn for a user in a step, to choose N from; of samplers.",
        at_least=1,
        at_most=LARGEST_NUM_CANDIDATES,
    )
    uniform_epochs: int = flag(
        0, "Epochs at the start with uniform negatives, before the sampler chooses; of samplers.", at_least=0
    )
    shared_negatives: bool = flag(
        False, "sampled_softmax: the same N negatives for all users of a step; for uniform and nncf."
    )

    objective: str = flag(
        "pairs",
        "multinomial: a softmax over all items, no sampler; sampled_softmax: over theirs and sampled negatives; "
        "pairs: positives against sampled negatives.",
        tuple(RECIPES),
        main=True,
    )
    user_l2: float = flag(
        1.75,
        "Not pairs: L2 regularisation for each user; divided by the mean number of items.",
        at_least=0,
        at_most=1e6,
    )
    loss: str = flag("squared_hinge", "Loss of a pair.", tuple(LOSSES))
    pairing: str = flag(
        "group", "group: every positive against every negative (Eq. 6); pair: k-th against k-th (Eq. 3).", PAIRINGS
    )
    margin: float = flag(1.0, "gamma.", at_least=0, at_most=1e6)
    l2: float = flag(
        0.02, "pairs: L2 regularisation of p_u, q_i and q_j in every pair.", main=True, at_least=0, at_most=1e6
    )
    dropout: float = flag(
        0.25, "Share of the latent factors hidden, one mask a user and step.", main=True, at_least=0, below=1
    )
    user_weight_power: float = flag(
        0.5, "Weighs a user's loss by (its number of positives / mean) to this power.", at_least=0, at_most=10
    )
    average_decay: float = flag(
        0.97,
        "Decay an epoch of the moving average of the weights that is evaluated; 0: none.",
        at_least=0,
        below=1,
    )

    dim: int = flag(32, "d: latent factors.", main=True, at_least=1, at_most=LARGEST_DIM)
    init_scale: float = flag(0.01, "Standard deviation of the factors at the start.", above=0, at_most=100)
    optimizer: str = flag("adagrad", "Optimiser.", OPTIMIZERS)
    learning_rate: float = flag(0.09, "Learning rate.", main=True, above=0)
    schedule: str = flag("constant", "How the rate goes; cosine: down to 0 at max_epochs.", SCHEDULES)
    batch_size: int = flag(
        1024, "B: users a step; 0: a fiftieth of the users, from 32 to 16384.", at_least=0, at_most=2**24
    )
    strategy: str = flag(
        "none",
        "Replicas that train together, each on users of its own: mirrored: one a device of this machine; multiworker: "
        "one in each process of the cluster that TF_CONFIG names, all with the same flags.",
        STRATEGIES,
        main=True,
    )
    heartbeat_seconds: float = flag(
        30.0, "multiworker: a worker that is silent for so long counts as lost.", at_least=2, at_most=3600
    )
    jit_compile: bool | None = flag(
        None, "Compile the step by XLA; auto: where there is a GPU and what is chosen compiles. Slower on CPUs."
    )
    compute_dtype: str = flag(
        FLOAT32,
        "bfloat16: mixed precision, for GPUs: factors and losses in float32, products in scores in bfloat16; of pairs.",
        (FLOAT32, "bfloat16"),
    )

    max_epochs: int = flag(2500, "Stop after this many epochs.", main=True, at_least=1)
    max_minutes: float = flag(
        0.0, "Stop after this many minutes of training, resumed runs counted in; 0: no limit.", at_least=0
    )
    eval_every: int = flag(10, "Epochs between validations.", at_least=1)
    valid_users: int = flag(
        0,
        "Users to validate on and to measure by, drawn at random; 0: all. For data of very many users.",
        at_least=0,
    )
    select: str = flag("ndcg@3", "What weights are chosen by, on validation: ndcg@3, full_ndcg@20, mrr, ...", main=True)
    patience: int = flag(40, "Stop after this many validations that are not better.", main=True, at_least=1)
    refit: bool = flag(
        False, "When the epochs are chosen, train once more with the held-out items included, for export."
    )
    checkpoint_minutes: float = flag(2.0, "Minutes between checkpoints.", at_least=0)
    tensorboard: bool = flag(True, "Write TensorBoard logs.")
    show_users: int = flag(3, "For how many users to print recommendations at the end.", at_least=0)
    export_dir: str = flag(
        "",
        "At the end export for TensorFlow Serving, as the next version in this folder; empty: no.",
        main=True,
        path=True,
    )
    export_anyway: bool = flag(False, "Export a model too that ranks no better than popularity.")
    keep_versions: int = flag(
        0, "Versions to keep in export_dir, the new one among them; older ones go. 0: all.", at_least=0
    )

    # Settings of what is chosen above; None becomes the defaults. See `gdns_tf.flags`.
    scorer_config: ScorerConfig = field(default=None, metadata={"chosen_by": "scorer", "registry": SCORERS})
    sampler_config: SamplerConfig = field(default=None, metadata={"chosen_by": "sampler", "registry": SAMPLERS})

    def check(self) -> None:
        SelectionMetric(self.select)
        is_path = bool(self.warm_start) and not self.warm_start.startswith(MODEL)
        if is_path and self.output_dir and is_within(self.warm_start, self.output_dir):
            rule = f"is what is written to (`output_dir`={self.output_dir}): name another folder for the new run"
            require(False, "warm_start", self.warm_start, rule)
        for part in _parts(type(self)):
            self._complete(part.name, part.metadata["chosen_by"], part.metadata["registry"])
        self._check_interplay()

    def _check_interplay(self) -> None:
        """Raises InputError for settings that do not go together, all of them good by themselves."""
        sampler = getattr(self.sampler_config, "instance", None) or self.sampler_class
        require(
            sampler.takes_candidates or self.num_candidates >= self.group_size,
            "num_candidates",
            self.num_candidates,
            f"must be at least `group_size`={self.group_size}: the negatives are chosen among the candidates",
        )
        needs = {"objective": NEEDS[self.objective]}
        if self.compute_dtype != FLOAT32:
            rule = f"does not go with `objective`={self.objective}: it is of `objective`={PAIRS}"
            require(self.objective == PAIRS, "compute_dtype", self.compute_dtype, rule)
            needs["compute_dtype"] = frozenset({HALF})
        if self.objective in SAMPLING:
            needs["sampler"] = sampler.requires
        for who, needed in needs.items():
            lacking = needed - self.scorer_class.capabilities
            require(
                not lacking,
                who,
                getattr(self, who),
                f"does not go with `scorer`={self.scorer}, which lacks: {', '.join(sorted(lacking))}",
            )
        if self.shared_negatives and self.objective == SAMPLED_SOFTMAX:
            rule = f"does not go with `sampler`={self.sampler}, which chooses for each user"
            require(sampler.takes_candidates, "shared_negatives", True, rule)
        if self.has_sampler and not isinstance(self.sampler_config, Given):
            sampler.check_sizes(self.sampler_config, self.group_size, self.num_candidates)
        if self.strategy != "none":
            good = not self.has_sampler or (sampler.splits_users and not isinstance(self.sampler_config, Given))
            rule = f"does not go with `sampler`={self.sampler}, which learns from the users of all replicas at once"
            if isinstance(self.sampler_config, Given):
                rule = "does not go with a sampler that is given as an object: it takes one for each replica"
            require(good, "strategy", self.strategy, rule)
            rule = "does not go with `strategy`=multiworker, whose workers need a folder of a file system that all see"
            good = self.strategy != "multiworker" or not self.output_dir or not is_remote(self.output_dir)
            require(good, "output_dir", self.output_dir, rule)
            require(not self.jit_compile, "jit_compile", True, f"does not go with `strategy`={self.strategy}")
        if self.jit_compile:
            for name in self._not_compiling():
                require(False, "jit_compile", True, f"does not go with `{name}`={getattr(self, name)}")

    def _not_compiling(self) -> list[str]:
        """Names of the settings whose choice XLA cannot compile."""
        sampler = getattr(self.sampler_config, "instance", None) or self.sampler_class
        compiling = {
            "objective": self.objective == PAIRS,
            "scorer": self.scorer_class.compiles,
            "sampler": sampler.compiles or not self.has_sampler,
        }
        return [name for name, good in compiling.items() if not good]

    def _complete(self, part: str, name: str, registry: Registry) -> None:
        """Puts the defaults of the chosen class where no settings are given, and refuses those of another class."""
        given = getattr(self, part)
        if given is None and getattr(self, name).startswith(PREFIX):
            object.__setattr__(self, part, given := Given(None))
        if isinstance(given, Given):
            return
        wanted = registry[getattr(self, name)].config_class
        if given is None:
            object.__setattr__(self, part, wanted())
        elif type(given) is not wanted:
            raise InputError(
                f"`{name}`={getattr(self, name)} takes a {wanted.__name__} as `{part}`, not a {type(given).__name__}",
                remedy="Change settings by `with_settings`, which takes those of samplers and scorers by name.",
            )

    @classmethod
    def from_settings(cls, **settings: object) -> "TrainConfig":
        """A run by its settings, those of the sampler and the scorer among them; others are those of a recipe.

        Without `objective` the run is of pairs where a setting is given that means nothing to a multinomial run, such
        as `sampler`; else it is multinomial. See `gdns_tf.training.recipes`.

        Raises:
          InputError: there is no such setting, with the nearest one; or a value cannot work.

        Example:
          TrainConfig.from_settings(sampler="gdns", smoothing=0.1, dim=64)
        """
        return cls.defaults_for(settings).with_settings(**settings)

    @classmethod
    def defaults_for(cls, settings: Mapping[str, object], *, tells: bool = True) -> "TrainConfig":
        """The base of a run with some settings: those of its own, the recipe of the objective that they mean, and what
        the sampler brings (`Sampler.defaults`).

        Args:
          settings: by name.
          tells: whether to say what was chosen unasked, and which of the settings have no effect on the objective.
        """
        say = notices if tells else _SILENCE
        _check_names(settings)
        limits = {n: meant for n, meant in objectives_of(settings).items() if settings[n] is not False}  # asks nothing
        not_multinomial = [name for name, objectives in limits.items() if MULTINOMIAL not in objectives]
        scorer = settings.get("scorer")
        if "objective" in settings:
            objective = settings["objective"]
        elif any(objectives == {SAMPLED_SOFTMAX} for objectives in limits.values()):
            objective = SAMPLED_SOFTMAX
        elif not_multinomial or (scorer in SCORERS and not SCORERS[scorer].capabilities >= NEEDS[MULTINOMIAL]):
            objective = PAIRS
            if not_multinomial and "sampler" not in settings:
                told = "`%s` is of sampled pairs: so `objective`=pairs, `sampler`=%s. Name them to choose others."
                say.warning(told, not_multinomial[0], cls.sampler)
        else:
            objective = MULTINOMIAL
        for name, objectives in limits.items():
            if objective in RECIPES and objective not in objectives:
                say.warning("`%s`=%s has no effect on `objective`=%s.", name, shown(settings[name]), objective)
        warm = WARM_START if settings.get("warm_start") and objective != PAIRS else {}
        if unasked := [f"`{name}`={value}" for name, value in warm.items() if name not in settings]:
            say.info("A warm start takes little: %s, unless they are set.", " and ".join(unasked))
        # An unknown objective is refused with the rest.
        recipe = cls().with_settings(**RECIPES.get(objective, {}) | warm)
        sampler = settings.get("sampler", recipe.sampler)
        brought = {n: value for n, value in _brought(sampler, objective).items() if n not in settings}
        for name, value in brought.items():
            of = Given(sampler).name if isinstance(sampler, Sampler) else sampler
            say.info("`sampler`=%s brings `%s`=%s, as it is not set.", of, name, value)
        # With what is given, for what is brought need not go with the recipe alone.
        given = {field.name for field in fields(cls)} & settings.keys()
        return recipe.with_settings(**brought | {name: settings[name] for name in given})

    def with_settings(self, **settings: object) -> "TrainConfig":
        """This run with some settings changed.

        Where another sampler or scorer is chosen, those of the former's settings that the new one has too stay. Another
        objective brings no recipe of its own, and another sampler none of its `defaults`: `from_settings` does.

        Args:
          settings: by name, of the run, its sampler and its scorer. `sampler` may be a `Sampler` in place of a name.

        Raises:
          InputError: there is no such setting, with the nearest one; or a value cannot work.
        """
        _check_names(settings)
        if isinstance(settings.get("sampler"), Sampler):
            given = Given(settings["sampler"])
            settings |= {"sampler": given.name, "sampler_config": given}
        own = {f.name for f in fields(self)}
        changes = {name: settings.pop(name) for name in list(settings) if name in own}
        known = own - {part.name for part in _parts(type(self))}
        for part in _parts(type(self)):
            if part.name in changes:
                continue
            name = part.metadata["chosen_by"]
            chosen = str(changes.get(name, getattr(self, name)))
            former = getattr(self, part.name)
            if isinstance(former, Given) and name not in changes:
                continue
            config_class = part.metadata["registry"][chosen].config_class
            names = {f.name for f in fields(config_class)}
            known |= names
            kept = {f.name: getattr(former, f.name) for f in fields(former) if f.name in names and f.init}
            changes[part.name] = config_class(**kept | {n: settings.pop(n) for n in list(settings) if n in names})
        for name in settings:
            raise InputError(
                f"there is no setting `{name}`{_owner(name) or did_you_mean(name, known)}",
                remedy="`python -m gdns_tf.train --helpfull` lists them all.",
            )
        return replace(self, **changes)

    def settled(self, num_users: int, num_items: int) -> "TrainConfig":
        """This run with what its sampler's settings leave open decided: see `SamplerConfig.settled`."""
        if not self.has_sampler:
            return self
        return replace(self, sampler_config=self.sampler_config.settled(num_users, num_items))

    def settled_as(self, former: "TrainConfig") -> "TrainConfig":
        """This run with what its sampler's settings leave open as in a former one: see `SamplerConfig.settled_as`."""
        if type(self.sampler_config) is not type(former.sampler_config):
            return self
        return replace(self, sampler_config=self.sampler_config.settled_as(former.sampler_config))

    def settings(self) -> dict[str, object]:
        """All settings by name, those of the sampler and the scorer among them."""
        parts = [getattr(self, part.name) for part in _parts(type(self))]
        own = {f.name: getattr(self, f.name) for f in fields(self) if "help" in f.metadata}
        return own | {f.name: getattr(part, f.name) for part in parts for f in fields(part) if "help" in f.metadata}

    def changes(self, other: "TrainConfig") -> list[str]:
        """Names of the settings that differ and whose difference would make another run of this."""
        mine, others = self.settings(), other.settings()
        harmless = HARMLESS - ({"max_epochs"} if self.schedule == "cosine" else set())
        return [n for n in mine if n not in harmless and mine[n] != others.get(n, mine[n])]

    @property
    def has_sampler(self) -> bool:
        """Whether a sampler chooses negatives for each user."""
        shared = self.objective == SAMPLED_SOFTMAX and self.shared_negatives
        return self.objective in SAMPLING and not shared

    @property
    def compiled(self) -> bool:
        """Whether the step is compiled by XLA here: what `jit_compile` says, or unasked what suits the machine."""
        if self.jit_compile is None:
            alone = self.strategy == "none"
            return alone and bool(tf.config.list_physical_devices("GPU")) and not self._not_compiling()
        return self.jit_compile

    @property
    def scorer_class(self) -> type[Scorer]:
        return SCORERS[self.scorer]

    @property
    def sampler_class(self) -> type[Sampler]:
        return GivenSampler if isinstance(self.sampler_config, Given) else SAMPLERS[self.sampler]

    def setup(self, train: Interactions) -> Setup:
        """What the scorer and the sampler are built for."""
        return Setup(
            train,
            dim=self.dim,
            init_scale=self.init_scale,
            group_size=self.group_size,
            num_candidates=self.num_candidates,
            batch_size=self.batch_size or users_a_step(train.num_users),
            seed=self.seed,
            compiled=self.compiled,
        )


def objectives_of(settings: Iterable[str]) -> dict[str, frozenset[str]]:
    """Those of some settings that do not mean something to every objective -> to which they do."""
    of_samplers = {f.name for sampler in SAMPLERS.values() for f in fields(sampler.config_class)}
    meant_for = dict.fromkeys(of_samplers, SAMPLING) | MEANT_FOR
    return {name: meant_for[name] for name in settings if name in meant_for}


def _check_names(settings: Mapping[str, object]) -> None:
    """Raises InputError where what chooses others is no name; whether there is what it names is seen later."""
    for name in ("objective", "scorer", "sampler"):
        kind = (str, Sampler) if name == "sampler" else str
        require(isinstance(settings.get(name, ""), kind), name, settings.get(name), "must be text")


def _brought(sampler: str | Sampler, objective: str) -> dict[str, object]:
    """What a sampler brings to a run of the objective: setting -> value; an unknown one, nothing."""
    defaults = (sampler if isinstance(sampler, Sampler) else SAMPLERS.get(sampler, Sampler)).defaults
    limits = objectives_of(defaults)
    return {n: value for n, value in defaults.items() if objective in limits.get(n, SAMPLING)}


def _parts(config_class: type) -> list:
    """The fields that hold settings of something that another field chooses."""
    return [f for f in fields(config_class) if "chosen_by" in f.metadata]


def _owner(setting: str) -> str:
    """Says whose setting it is, where it belongs to a sampler or scorer that was not chosen."""
    for part in _parts(TrainConfig):
        registry: Mapping = part.metadata["registry"]
        owners = [name for name in registry if setting in {f.name for f in fields(registry[name].config_class)}]
        if owners:
            return f" but of `{part.metadata['chosen_by']}`={' or '.join(owners)}"
    return ""
