"""Some users of a data set, drawn at random, by whom a model is measured where all of them would take too long."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipelines.held_out import HeldOut
from pipelines.interactions import Interactions
from pipelines.split import Block, Split
from pipelines.streamed import StreamedInteractions, StreamedSplit

_DRAW = 0x5A1
"""Tells the seed of the draw from others."""


@dataclass(frozen=True)
class Sample:
    """A data set of which evaluation sees some users alone; these are in memory, however the data set is read."""

    whole: Split | StreamedSplit
    users: np.ndarray
    """[n] their numbers, ascending."""
    split: Split
    """What there is of them, numbered anew from 0; the catalogue is whole."""

    @property
    def name(self) -> str:
        return self.whole.name

    @property
    def fingerprint(self) -> str:
        """That of the whole data set."""
        return self.whole.fingerprint

    @property
    def train(self) -> Interactions | StreamedInteractions:
        """The training interactions of all users: by them an item is popular."""
        return self.whole.train

    @property
    def several(self) -> bool:
        """Whether validation or test has more than one item of any user of the whole data set."""
        return self.whole.several

    @property
    def valid(self) -> HeldOut:
        """What is held out of these users, by their numbers in the whole data set."""
        return self._numbered(self.split.valid)

    @property
    def test(self) -> HeldOut:
        return self._numbered(self.split.test)

    def _numbered(self, part: HeldOut) -> HeldOut:
        return replace(part, users=self.users[part.users].astype(np.int32))

    def select(self, users: np.ndarray) -> Split:
        """Of some of these users alone: [n] numbers in the whole data set."""
        return self.split.select(np.searchsorted(self.users, users))

    def blocks(self) -> Iterator[Block]:
        """These users, at once."""
        yield Block(self.users, self.split)


def sampled(split: Split | StreamedSplit, count: int, seed: int) -> Split | StreamedSplit | Sample:
    """Some of the users who are evaluated, drawn at random without replacement; all where there are no more.

    Args:
      split: the data set.
      count: how many; 0: all.
      seed: of the draw: the same data, number and seed give the same users.
    """
    evaluated = np.union1d(split.valid.users, split.test.users)
    if not 0 < count < len(evaluated):
        return split
    users = np.sort(np.random.default_rng([seed, _DRAW]).choice(evaluated, count, replace=False, shuffle=False))
    return Sample(split, users, split.select(users))
