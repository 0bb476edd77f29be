"""Whether what TensorFlow is to run stays on a GPU, told without one.

The packages of TensorFlow for Linux are built with CUDA: they register the kernels of GPUs, and those by which XLA
compiles for GPUs, whether there is a GPU or not.
"""

import re

import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2
from tensorflow.python.framework import kernels

HOST = {"send", "send-done", "recv", "recv-done", "infeed", "outfeed", "copy-to-host", "async-start"}
"""Instructions of HLO by which a compiled program speaks with the host."""
ON_DEVICE_CALLS = {"TopK"}
"""Targets of custom calls that are programs of the device."""
STRUCTURE = {
    "Placeholder",
    "_Arg",
    "_Retval",
    "Const",
    "NoOp",
    "Identity",
    "StatefulPartitionedCall",
    "PartitionedCall",
}
"""Nodes of a graph that compute nothing."""


def calls_of_host(hlo: str) -> set[str]:
    """The instructions and custom calls of a text of HLO that are none of the device's."""
    codes = set(re.findall(r"^\s*(?:ROOT )?%?[\w.\-]+ = .*? ([a-z][\w\-]*)\(", hlo, re.MULTILINE))
    assert codes, "no instruction was found"
    targets = set(re.findall(r'custom_call_target="([^"]*)"', hlo))
    return codes & HOST | targets - ON_DEVICE_CALLS


def without_kernel(function: tf.types.experimental.ConcreteFunction, device: str) -> set[str]:
    """The operations of a function, and of what it calls, of which no kernel of a device takes the types.

    Args:
      function: traced.
      device: "GPU", or "XLA_GPU_JIT" for XLA's, which are registered once anything has been compiled.
    """
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for called in graph.library.function for node in called.node_def)]
    found = {(n.op, tuple(sorted((a, v.type) for a, v in n.attr.items() if v.type))) for n in nodes}
    return {op for op, types in found if op not in STRUCTURE and not _has_kernel(op, dict(types), device)}


def _has_kernel(op: str, types: dict[str, int], device: str) -> bool:
    def takes(kernel: object) -> bool:
        limits: list[tuple[str, attr_value_pb2.AttrValue]] = [(c.name, c.allowed_values) for c in kernel.constraint]
        return all(name not in types or types[name] in values.list.type for name, values in limits)

    registered = kernels.get_registered_kernels_for_op(op).kernel
    return any(kernel.device_type in (device, "DEFAULT") and takes(kernel) for kernel in registered)
