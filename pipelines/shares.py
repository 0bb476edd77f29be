"""Which users belong to whom, where several replicas of a model train together."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """The users of one replica: a range of user numbers, so that a table with a row for each is numbered from 0.

    What holds users in another order than in memory, such as files of them, makes shares of its own: ranges, one after
    the other, that cover all users.
    """

    first: int
    """The first user."""
    size: int
    """How many users."""
    number: int = 0
    """Which of the replicas."""
    of: int = 1
    """How many replicas there are."""

    def bounds(self, step: int, steps: int) -> tuple[int, int]:
        """From where to where in its order of users a replica goes in a step of an epoch; also of tensors.

        The users are spread evenly over the steps: all replicas take the same number of steps, none of them without a
        user where there are as many users as steps, and each user is visited once.
        """
        return step * self.size // steps, (step + 1) * self.size // steps


def whole(num_users: int) -> Share:
    """That of a replica which trains alone."""
    return Share(0, num_users)


def even_share(num_users: int, number: int, of: int) -> Share:
    """That of one of several replicas: their sizes differ by one user at most."""
    first, end = number * num_users // of, (number + 1) * num_users // of
    return Share(first, end - first, number, of)
