"""Runs trials in worker processes: resumable, with progress and time left."""

import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from tqdm import tqdm

from gdns_tf.runs.interrupts import Interrupted
from gdns_tf.studies.trial import Result, Trial, read_result, run_trial
from pipelines.atomic import made
from pipelines.errors import InputError
from pipelines.memory import require_memory

TRIALS_A_PROCESS = 4
"""After so many trials a worker makes room for a new one: TensorFlow keeps much of what it has built."""


WORKER_BYTES = 400 * 2**20
"""What a process takes at least: TensorFlow, before it has trained anything."""


def run_trials(
    trials: Sequence[Trial], root: Path, workers: int, title: str, trials_a_process: int = TRIALS_A_PROCESS
) -> dict[Trial, Result]:
    """Runs the trials that are not done; shows how many are left and for how long.

    Args:
      trials: repeats are run once.
      root: where their folders are.
      workers: processes; the machine's cores are shared out among them.
      title: of the progress bar.
      trials_a_process: 1 tells the memory of a trial from that of those before it.

    Returns:
      The results of all trials but those that diverged, which are named on standard error.

    Raises:
      gdns_tf.runs.interrupts.Interrupted: by SIGINT or SIGTERM; what is done stays done, what is under way is saved.
      InputError: a trial cannot be run, or a worker died, for want of memory most likely.
    """
    trials = list(dict.fromkeys(trials))
    left = [trial for trial in trials if read_result(trial, root) is None]
    if left:
        processes = min(workers, len(left))
        require_memory(float(processes * WORKER_BYTES), f"{processes} worker processes", "Lower `workers`.")
        with made(root):
            _run(left, root, processes, title, len(trials), trials_a_process)
    results = {trial: read_result(trial, root) for trial in trials}
    return {trial: result for trial, result in results.items() if result is not None}


def _run(left: Sequence[Trial], root: Path, workers: int, title: str, total: int, trials_a_process: int) -> None:
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    staff = [_Worker(threads, trials_a_process) for _ in range(workers)]
    for worker in staff:
        idle.put(worker)
    stopped = threading.Event()

    def serve(trial: Trial) -> str:
        if stopped.is_set():
            raise Interrupted
        worker = idle.get()
        try:
            return worker.run(trial, root)
        finally:
            idle.put(worker)

    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    callers = ThreadPoolExecutor(workers)
    try:
        with tqdm(total=total, initial=total - len(left), desc=title, unit="trial", file=sys.stderr) as bar:
            futures = {callers.submit(serve, trial): trial for trial in left}
            for future in as_completed(futures):
                if problem := future.result():
                    tqdm.write(f"{futures[future].label}: {problem}", file=sys.stderr)
                bar.set_postfix_str(futures[future].label)
                bar.update()
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted from None
    except BrokenProcessPool:
        raise InputError(
            "a worker process died", remedy="If memory ran out, lower --workers; the same command goes on."
        ) from None
    finally:
        signal.signal(signal.SIGTERM, former)
        stopped.set()
        for worker in staff:
            worker.stop()
        callers.shutdown(wait=True, cancel_futures=True)
        for worker in staff:
            worker.leave()


class _Worker:
    """A process that runs trials one after the other, and is replaced now and then."""

    def __init__(self, threads: int, trials_a_process: int) -> None:
        self._threads, self._trials_a_process = threads, trials_a_process
        self._count, self._pool = 0, None

    def run(self, trial: Trial, root: Path) -> str:
        # The pool's own max_tasks_per_child hangs in Python 3.11.
        if self._count % self._trials_a_process == 0:
            self.leave()
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, context, initializer=_start, initargs=(self._threads,))
        self._count += 1
        return self._pool.submit(run_trial, trial, root).result()

    def stop(self) -> None:
        """Has the trial under way save and end."""
        for process in list(((self._pool and self._pool._processes) or {}).values()):
            if process.is_alive():
                os.kill(process.pid, signal.SIGTERM)

    def leave(self) -> None:
        """Ends the process."""
        if self._pool:
            self._pool.shutdown()
            self._pool = None


def _start(threads: int) -> None:
    import tensorflow as tf
    from threadpoolctl import threadpool_limits

    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.setsid()  # Ctrl-C reaches the main process alone, which then asks the workers to stop, once
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    threadpool_limits(threads)
    # Of the libraries that are not loaded yet: those that fit the baselines.
    os.environ |= dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "IRSPACK_NUM_THREADS_DEFAULT"), str(threads)
    )


def _end_with_parent() -> None:
    """Ends this process when the main process is gone: a worker left over would train beside the next one."""
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
