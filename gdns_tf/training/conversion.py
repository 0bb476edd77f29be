"""Whether AutoGraph has to go over what is traced."""

import tensorflow as tf

_CONTROL_FLOW_BY_OPERATIONS = {"gdns_tf", "tensorflow", "tf_keras"}
"""Packages whose modules never say `if` or `for` of a tensor, but `tf.cond` and the like."""


def needs_autograph(*roots: tf.Module) -> bool:
    """Whether modules, or modules in them, are of a package that may leave Python's control flow to AutoGraph.

    A sampler or a scorer of a user's own may. Ours does not, and the first step of a process is traced three seconds
    sooner without: AutoGraph reads and rewrites the source of every function that it meets.
    """
    parts = {part for root in roots for part in (root, *root.submodules)}
    return any(type(part).__module__.split(".")[0] not in _CONTROL_FLOW_BY_OPERATIONS for part in parts)
