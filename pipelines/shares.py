"""Which users belong to whom, where several replicas of a model train together."""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Share:
    """The users of one replica: a range of user numbers, so that a table with a row for each is numbered from 0.

    The ranges of all replicas lie one after the other and cover all users. How long they are the data says
    (`Interactions.share`, `StreamedInteractions.share`).
    """

    number: int
    """Which of the replicas."""
    starts: tuple[int, ...]
    """The first user of each replica, and at the end how many users there are."""

    @property
    def of(self) -> int:
        """How many replicas there are."""
        return len(self.starts) - 1

    @property
    def first(self) -> int:
        """The first user."""
        return self.starts[self.number]

    @property
    def size(self) -> int:
        """How many users."""
        return self.starts[self.number + 1] - self.first

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many users each replica has."""
        return tuple(end - start for start, end in pairwise(self.starts))

    def bounds(self, step: int, steps: int) -> tuple[int, int]:
        """From where to where in its order of users a replica goes in a step of an epoch; also of tensors.

        The users are spread evenly over the steps: all replicas take the same number of steps, none of them without a
        user where there are as many users as steps, and each user is visited once.
        """
        return step * self.size // steps, (step + 1) * self.size // steps

    def steps_within(self, users: int, steps: int) -> int:
        """How many steps of an epoch end, by `bounds`, within the first so many users of the order; also of tensors."""
        return ((users + 1) * steps - 1) // self.size


def whole(num_users: int) -> Share:
    """That of a replica which trains alone."""
    return Share(0, (0, num_users))


def even_share(num_users: int, number: int, of: int) -> Share:
    """That of one of several replicas: their sizes differ by one user at most."""
    return Share(number, tuple(place * num_users // of for place in range(of + 1)))
