"""One file of events in the folder of a run's logs."""

import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary

from pipelines.atomic import writing
from pipelines.tf_files import tf_writing

FLUSH_SECONDS = 10
"""How far what TensorBoard shows may lag behind."""


class Message(Protocol):
    """A summary: TensorFlow and TensorBoard each have a class of their own for the same bytes."""

    def SerializeToString(self) -> bytes: ...


class EventFile:
    """A new file of events: the records that `tf.summary` writes too, without its ops.

    It begins by telling TensorBoard after which epoch the training goes on. What former files hold of later epochs was
    written by a process that was killed before its next checkpoint; it is trained again, and would stand there twice.

    Example:
      with EventFile(folder, after=run.epoch) as events:
          events.add(run.epoch + 1, scalar_pb(tags.LOSS, 0.5))
    """

    def __init__(self, folder: Path, *, after: int, suffix: str = "") -> None:
        """Args:
        folder: made where there is none.
        after: epochs done; 0: nothing that former files hold is to be shown.
        suffix: of the file's name.
        """
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        # TensorBoard reads files in the order of their names; seconds alone, as is usual, would not tell two apart.
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}{suffix}"
        with tf_writing(folder):
            self._records = tf.io.TFRecordWriter(str(folder / name))
        self._flushed = -FLUSH_SECONDS
        self._write(Event(file_version="brain.Event:2"))
        self._write(Event(step=after + 1 if after else 0, session_log=SessionLog(status=SessionLog.START)))

    def add(self, step: int, *summaries: Message) -> None:
        """Adds what is known after `step` epochs."""
        whole = Summary()
        for summary in summaries:
            whole.MergeFromString(summary.SerializeToString())
        self._write(Event(step=step, summary=whole))
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        with tf_writing(self._folder):
            self._records.write(event.SerializeToString())

    def flush(self) -> None:
        """Has all on the disk that was added."""
        with tf_writing(self._folder):
            self._records.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        with tf_writing(self._folder):
            self._records.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
