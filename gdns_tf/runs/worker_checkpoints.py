"""The checkpoints of a run of several workers: of what is the same for all the chief's, of users each worker's own."""

from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf

from gdns_tf.runs.checkpoints import Checkpoints, all_damaged, numbers
from gdns_tf.training.replicas.base import Replicas
from pipelines.atomic import writing
from pipelines.notices import notices
from pipelines.shares import Share

_SHARDS_KEPT = 3
"""One more than of the chief's: until that has its newest, its oldest may be what all go on from."""


class WorkerCheckpoints:
    """As `Checkpoints`, of all workers together, in a folder that all of them see.

    `checkpoints/` holds the chief's, and `checkpoints/worker-K/` what worker K keeps of its users. Those of one save
    have one number. The chief's is written when all others are, so where it is whole and each worker finds its own of
    the same number whole, they are of the same epoch.
    """

    def __init__(
        self,
        folder: Path,
        large: Iterable[tf.Variable],
        replicas: Replicas,
        *,
        share: Share,
        sampler: tf.Module,
        state: tf.Module,
        **objects: tf.Module,
    ) -> None:
        """Args:
        folder: of the run's checkpoints.
        large: see `Checkpoints`; of `sampler`.
        replicas: those that train together.
        share: of one of them.
        sampler: what is each worker's own.
        state: of the run, with the data's fingerprint.
        **objects: what else all have in common.
        """
        self._folder, self._replicas = folder, replicas
        self._common = Checkpoints(folder, share=share, state=state, **objects)
        shard = tf.Module(name="shard")
        shard.data_fingerprint = state.data_fingerprint
        self._name = f"worker-{replicas.worker}"
        own = folder / self._name
        self._own = Checkpoints(own, large, kept=_SHARDS_KEPT, share=share, sampler=sampler, state=shard)

    @property
    def exist(self) -> bool:
        return self._common.exist

    def restore(self, data_fingerprint: str) -> None:
        """Restores the newest checkpoint that is whole for all workers, if there is any.

        Raises:
          InputError: as `Checkpoints.restore`.
        """
        found = self._replicas.on_chief(lambda: numbers(self._folder))

        def faults() -> dict[str, str]:
            """Those of the checkpoints that cannot be used here, by their numbers."""
            bad = {}
            for number in found:
                if self._replicas.is_chief and (fault := self._common.fault(number, data_fingerprint)):
                    bad[str(number)] = fault
                elif fault := self._own.fault(number, data_fingerprint):
                    bad[str(number)] = f"{self._name}/{fault}"
            return bad

        told = self._replicas.everywhere(faults)
        damaged = []
        for number in found:
            if bad := [of_worker[str(number)] for of_worker in told if str(number) in of_worker]:
                damaged += bad
                continue
            self._replicas.everywhere(lambda number=number: self._read(number))
            if damaged and self._replicas.is_chief:
                notices.warning("%s: %s. Going on from the checkpoint before.", self._folder, "; ".join(damaged))
            return
        if damaged:
            raise all_damaged(damaged, self._folder)

    def _read(self, number: int) -> None:
        self._common.read(number)
        self._own.read(number)

    def save(self) -> None:
        """Saves another checkpoint; all workers call it after the same epoch.

        Raises:
          StorageError: one of them cannot be written.
        """
        number = self._replicas.on_chief(lambda: self._common.next_number)
        self._replicas.everywhere(lambda: self._save_own(number))
        self._replicas.on_chief(lambda: self._common.save(number))

    def _save_own(self, number: int) -> None:
        with writing(self._folder):
            self._folder.mkdir(exist_ok=True)
        self._own.save(number)
