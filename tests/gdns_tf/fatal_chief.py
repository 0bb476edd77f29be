"""The first of two workers, which kills the other one, or itself, in a run, as a machine does that goes down.

    python fatal_chief.py PID EPOCH FLAGS...

PID is the other one's; 0: itself.
"""

import functools
import os
import signal
import sys

import gdns_tf.train
from gdns_tf.command import run_command
from gdns_tf.runs.callbacks import Callback
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig


class Kills(Callback):
    """Kills a process after an epoch."""

    def __init__(self, process: int, epoch: int) -> None:
        self._process, self._epoch = process, epoch

    def on_epoch(self, run, loss) -> None:
        if run.epoch == self._epoch:
            os.kill(self._process or os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    kills = Kills(int(sys.argv[1]), int(sys.argv[2]))
    gdns_tf.train.train_model = functools.partial(gdns_tf.train.train_model, callbacks=[kills])
    run_command(gdns_tf.train.main, __doc__, [TrainConfig, DataConfig], [sys.argv[0], *sys.argv[3:]])
