"""What an epoch would take on other machines, by the fitted model: estimates, of which nothing was measured."""

import math
import time
from dataclasses import dataclass, replace

import tensorflow as tf

from gdns_tf.benchmarks.cost_model import SumOfTerms, steps
from gdns_tf.benchmarks.cost_point import Sizes

ACCELERATOR = "NVIDIA H100 SXM"
ACCELERATOR_BANDWIDTH = 3.35e12
"""Bytes a second, by its data sheet."""
WORKERS = 100
NETWORK_BANDWIDTH = 10e9 / 8
"""Bytes a second that a worker sends: a network of 10 Gbit/s."""
LATENCY = 50e-6
"""Seconds of a message."""


def memory_bandwidth(size: int = 2**28, rounds: int = 5) -> float:
    """Bytes a second that this machine reads and writes by all its cores: the best of some rounds.

    Args:
      size: bytes of a tensor, to which 1 is added: more than any cache holds.
      rounds: how often.
    """
    values = tf.zeros([size // 4])
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        (values + 1.0).numpy()
        seconds.append(time.perf_counter() - began)
    return 2 * size / min(seconds)


@dataclass(frozen=True)
class Estimate:
    """Seconds an epoch."""

    here: float
    """As fitted, on the machine that was measured."""
    accelerator: float
    """The step on an accelerator, with the draws of its host beside it."""
    draws: float
    """Of those the draws: no faster than as many cores as here draw."""
    workers: float
    """On WORKERS machines like the one measured."""
    communication: float
    """Of those what they wait for each other."""


def estimate(sizes: Sizes, seconds: SumOfTerms, draws: SumOfTerms, bandwidth: float, cores: int) -> Estimate:
    """What an epoch would take elsewhere.

    Args:
      sizes: of the data and the model.
      seconds, draws: fitted.
      bandwidth: of this machine's memory, bytes a second.
      cores: of the accelerator's host for each core here.
    """
    here, drawn = seconds(sizes), draws(sizes) / cores
    share = replace(sizes, num_users=math.ceil(sizes.num_users / WORKERS))
    # A ring: every worker sends each of its W parts of the gradient on, twice W - 1 times.
    sent = 4 * sizes.num_items * sizes.dim * 2 * (WORKERS - 1) / WORKERS
    communication = steps(share) * (sent / NETWORK_BANDWIDTH + 2 * (WORKERS - 1) * LATENCY)
    return Estimate(
        here=here,
        accelerator=max(here * bandwidth / ACCELERATOR_BANDWIDTH, drawn),
        draws=drawn,
        workers=seconds(share) + communication,
        communication=communication,
    )
