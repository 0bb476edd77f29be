"""An arm: one of the alternatives of a study without tuning."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Arm:
    """One alternative."""

    title: str
    label: str
    """Of its trials; names their folders."""
    overrides: Mapping[str, object]
    """What sets it apart from the study's flags."""
    task: str = "train"
