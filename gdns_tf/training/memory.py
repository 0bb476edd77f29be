"""Whether a run fits into memory, told before it is built: the system may kill a process that asks for too much."""

from gdns_tf.models.likelihood import CELLS
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.device_memory import memory_for_variables
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.recipes import MULTINOMIAL, PAIRS
from pipelines.memory import require_memory

_SLOTS = {"adagrad": 1, "adam": 2, "sgd": 1}
"""Numbers that an optimiser of Keras keeps for each weight."""
_KEPT = 3
"""Times that weights are held: as they are, averaged, and as they were best."""
_PREFETCHED = 4
"""Batches that wait at a time: see `pipelines.batches`."""
_REMEDIES = {
    "weights": "Lower `dim`.",
    "sampler": "Bound what the sampler keeps of each user (`gain_slots`, `memory_size`), or choose another `sampler`.",
    "a step": "Lower `batch_size`, `group_size` or `num_candidates`.",
}


def parts(config: TrainConfig, setup: Setup) -> dict[str, float]:
    """What a run holds at a time and how many bytes of it, estimated from below: what is sure to be there."""
    users, items = setup.train.num_users, setup.train.num_items
    sizes = {"num_users": users, "num_items": items, "d": config.dim}
    numbers = config.scorer_class.num_weights(config.scorer_config, sizes)
    held = {"weights": 4.0 * numbers * (_KEPT + _SLOTS[config.optimizer]), "sampler": 0.0}
    batch, group = setup.own_users_a_step, config.group_size
    if config.objective == MULTINOMIAL:
        return held | {"a step": 4.0 * batch * min(items, max(CELLS // batch, 1))}
    if not config.has_sampler:
        return held | {"a step": 4.0 * group * (batch + config.dim)}
    held["sampler"] = float(config.sampler_class.bytes_held(config.sampler_config, setup))
    drawn = group + config.sampler_class.num_candidates(config.sampler_config, setup)
    pairs = group * group if config.objective == PAIRS and config.pairing == "group" else group
    held["a step"] = 4.0 * batch * (_PREFETCHED * drawn + 2 * group * config.dim + pairs)
    return held


def check_memory(config: TrainConfig, setup: Setup, replicas: int = 1) -> None:
    """Raises InputError, with the estimate and a remedy, where a run would not fit into memory.

    Args:
      config: the settings.
      setup: of one replica.
      replicas: how many this process has.
    """
    held = {part: replicas * size for part, size in parts(config, setup).items()}
    told = ", ".join(f"{name} {size / 2**30:,.1f}" for name, size in held.items() if size >= 2**30 / 20)
    by = f"training on {setup.train.num_users:,} users and {setup.train.num_items:,} items ({told or 'little'})"
    free, _ = memory_for_variables()
    require_memory(sum(held.values()), by, _REMEDIES[max(held, key=held.get)], free=free)
