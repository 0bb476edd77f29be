"""One file of events in the folder of a run's logs."""

import time
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

FLUSH_SECONDS = 10
"""How far what TensorBoard shows may lag behind."""


class Message(Protocol):
    """A summary: TensorFlow and TensorBoard each have a class of their own for the same bytes."""

    def SerializeToString(self) -> bytes: ...


class EventFile:
    """A new file of events, written by TensorBoard's own writer, which needs no graph and no device.

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
        self._writer = EventFileWriter(str(folder), flush_secs=FLUSH_SECONDS, filename_suffix=suffix)
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        first = after + 1 if after else 0
        self._writer.add_event(event_pb2.Event(wall_time=time.time(), step=first, session_log=start))

    def add(self, step: int, *summaries: Message) -> None:
        """Adds what is known after `step` epochs."""
        whole = summary_pb2.Summary()
        for summary in summaries:
            whole.MergeFromString(summary.SerializeToString())
        self._writer.add_event(event_pb2.Event(wall_time=time.time(), step=step, summary=whole))

    def flush(self) -> None:
        """Has all on the disk that was added."""
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
