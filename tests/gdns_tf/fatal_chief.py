"""The first of two workers, which kills the other one in the midst of a run, as a machine does that goes down.

python fatal_chief.py PID EPOCH FLAGS...
"""

import os
import signal
import sys

from gdns_tf.api import train_model
from gdns_tf.command import Read, run_command
from gdns_tf.runs.callbacks import Callback
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.replicas.strategies import join
from pipelines.config import DataConfig
from pipelines.infer import infer
from pipelines.load import load_dataset


class Kills(Callback):
    """Kills a process after an epoch."""

    def __init__(self, process: int, epoch: int) -> None:
        self._process, self._epoch = process, epoch

    def on_epoch(self, run, loss) -> None:
        if run.epoch == self._epoch:
            os.kill(self._process, signal.SIGKILL)


def main(read: Read) -> None:
    config, data = read(TrainConfig), infer(read(DataConfig))
    join(config.strategy, config.heartbeat_seconds)
    train_model(load_dataset(data), data, config, [Kills(int(sys.argv[1]), int(sys.argv[2]))])


if __name__ == "__main__":
    run_command(main, __doc__, [TrainConfig, DataConfig], [sys.argv[0], *sys.argv[3:]])
