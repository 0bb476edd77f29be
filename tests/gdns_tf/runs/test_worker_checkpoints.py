"""Checkpoints of several workers: all of them restore one epoch, the newest that is whole for all of them."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import tensorflow as tf

from gdns_tf.runs.checkpoints import has_others_files, numbers
from gdns_tf.runs.state import RunState
from gdns_tf.runs.worker_checkpoints import WorkerCheckpoints
from gdns_tf.training.replicas.base import Replicas
from pipelines.errors import InputError
from pipelines.shares import Share, even_share

WORKERS = 2


class Threads(Replicas):
    """Workers that are threads: what each of them says all of them hear."""

    count = workers = WORKERS

    def __init__(self, worker, hall):
        self.worker, (self._barrier, self._said) = worker, hall

    def everywhere(self, function):
        try:
            self._said[self.worker] = function()
        except InputError as error:
            self._said[self.worker] = error
        self._barrier.wait(60)
        said = list(self._said)
        self._barrier.wait(60)
        for each in said:
            if isinstance(each, InputError):
                raise each
        return said

    def on_chief(self, function):
        return self.everywhere(function if self.is_chief else lambda: None)[0]


class Worker:
    """A worker with a table of its own, and what all have in common."""

    share = staticmethod(lambda number, of: even_share(6, number, of))

    def __init__(self, folder, replicas, fingerprint="data"):
        self.state, self.sampler = RunState([], fingerprint), tf.Module()
        self.table = self.sampler.table = tf.Variable(tf.zeros([3, 2]), trainable=False)
        self.number = replicas.worker
        share = self.share(self.number, replicas.count)
        known = {"share": share, "sampler": self.sampler, "state": self.state}
        self.checkpoints = WorkerCheckpoints(folder, [self.table], replicas, **known)

    def train(self, epoch):
        self.state.epoch.assign(epoch)
        self.table.assign(tf.fill([3, 2], 10.0 * epoch + self.number))
        self.checkpoints.save()

    def restored(self):
        """The epoch that it went on from, 0 for none; its table is of that epoch."""
        self.checkpoints.restore("data")
        epoch = int(self.state.epoch.numpy())
        if epoch:
            assert set(self.table.numpy().ravel()) == {10.0 * epoch + self.number}
        return epoch


def together(folder, act):
    """What each of the workers says that are built in a folder and act at the same time."""
    hall = threading.Barrier(WORKERS), [None] * WORKERS
    with ThreadPoolExecutor(WORKERS) as pool:
        acts = [pool.submit(lambda k=k: act(Worker(folder, Threads(k, hall)))) for k in range(WORKERS)]
    return [each.exception() or each.result() for each in acts]


def three_epochs(worker):
    for epoch in (1, 2, 3):
        worker.train(epoch)


@pytest.fixture
def folder(tmp_path):
    """The folder of three checkpoints: the chief keeps two, each worker three of its own."""
    assert together(tmp_path / "checkpoints", three_epochs) == [None, None]
    return tmp_path / "checkpoints"


def remove(folder, number):
    for path in folder.glob(f"ckpt-{number}.*"):
        path.unlink()


def test_each_worker_gets_its_own_and_the_common_of_the_newest(folder):
    assert numbers(folder) == [3, 2]
    assert [numbers(folder / f"worker-{k}") for k in range(WORKERS)] == [[3, 2, 1]] * 2
    assert together(folder, Worker.restored) == [3, 3]
    assert not has_others_files(folder)


def test_without_checkpoints_nothing_is_restored(tmp_path):
    assert together(tmp_path / "checkpoints", Worker.restored) == [0, 0]


@pytest.mark.parametrize("killed", ["before the chief's", "before one worker's", "in a write"])
def test_what_not_all_have_whole_none_goes_on_from(folder, killed):
    """As a kill leaves it, at three points of a save; the save after that makes it good."""
    if killed == "before the chief's":
        remove(folder, 3)
    elif killed == "before one worker's":
        remove(folder, 3)
        remove(folder / "worker-1", 3)
    else:
        (data,) = (folder / "worker-1").glob("ckpt-3.data*")
        data.write_bytes(data.read_bytes()[:-4])

    def go_on(worker):
        epoch = worker.restored()
        worker.train(5)
        return epoch

    assert together(folder, go_on) == [2, 2]
    assert together(folder, Worker.restored) == [5, 5]


def test_the_oldest_that_the_chief_keeps_every_worker_has_too(folder):
    """The chief is killed before its newest is written, and the one before turns out damaged."""

    def save_own(worker):
        worker.train(4)

    together(folder, lambda worker: (worker.restored(), save_own(worker)))
    remove(folder, 4)  # as it was before the last write: the chief has 3, and had 2
    assert [numbers(folder / f"worker-{k}") for k in range(WORKERS)] == [[4, 3, 2]] * 2
    assert together(folder, Worker.restored) == [3, 3]


def test_all_say_so_where_none_is_whole(folder):
    shutil.rmtree(folder / "worker-1")
    for error in together(folder, Worker.restored):
        assert isinstance(error, InputError)
        assert "worker-1/ckpt-3 is damaged" in str(error)
        assert "worker-1/ckpt-2 is damaged" in str(error)


def test_another_number_of_workers_is_refused(folder, monkeypatch):
    monkeypatch.setattr(Threads, "count", 3)
    for error in together(folder, Worker.restored):
        assert isinstance(error, InputError)
        assert "begun by 2 replicas (devices of all workers), and now there are 3" in str(error)


def test_other_users_of_the_same_workers_are_refused(folder, monkeypatch):
    """As of the same data in other shards."""
    monkeypatch.setattr(Worker, "share", lambda self, number, of: Share(number, (0, 4, 6)))
    for error in together(folder, Worker.restored):
        assert isinstance(error, InputError)
        assert "in other shards, by which its replicas had other users" in str(error)


def test_other_data_are_refused(folder):
    def of_other_data(worker):
        worker.checkpoints.restore("others")

    for error in together(folder, of_other_data):
        assert "made on data data, and the data is now others" in str(error)
