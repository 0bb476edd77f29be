"""The error of a worker that has lost another."""


class PeerLost(Exception):
    """Another worker is gone. What all have saved stays; the same command, in all workers, goes on from there."""
