"""Whether AutoGraph has to go over what is traced."""

import tensorflow as tf

_CONTROL_FLOW_BY_OPERATIONS = {"gdns_tf", "tensorflow", "tf_keras"}
"""Packages whose modules never say `if` or `for` of a tensor, but `tf.cond` and the like."""


def needs_autograph(root: tf.Module) -> bool:
    """Whether a module, or one in it, is of a package that may leave Python's control flow to AutoGraph.

    A sampler or a scorer of a user's own may. Ours does not, and the first step of a process is traced three seconds
    sooner without: AutoGraph reads and rewrites the source of every function that it meets.
    """
    packages = {type(part).__module__.split(".")[0] for part in (root, *root.submodules)}
    return not packages <= _CONTROL_FLOW_BY_OPERATIONS
