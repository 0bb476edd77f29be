"""Runs trials in worker processes: resumable, with progress and time left."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from tqdm import tqdm

from gdns_tf.run import Interrupted
from gdns_tf.studies.trial import Result, Trial, read_result, run_trial
from pipelines.errors import DataError

TRIALS_A_PROCESS = 12
"""After so many trials a worker makes room for a new one: TensorFlow keeps what it has compiled."""


def run_trials(trials: Sequence[Trial], root: Path, workers: int, title: str) -> dict[Trial, Result]:
    """Runs the trials that are not done; shows how many are left and for how long.

    Args:
      trials: repeats are run once.
      root: where their folders are.
      workers: processes; the machine's cores are shared out among them. A trial's outcome does not depend on it.
      title: of the progress bar.

    Returns:
      The results of all trials but those that diverged, which are named on standard error.

    Raises:
      gdns_tf.run.Interrupted: by SIGINT or SIGTERM; what is done stays done, what is under way is saved.
      DataError: a worker died, for want of memory most likely.
    """
    trials = list(dict.fromkeys(trials))
    left = [trial for trial in trials if read_result(trial, root) is None]
    if left:
        root.mkdir(parents=True, exist_ok=True)
        _run(left, root, min(workers, len(left)), title, len(trials))
    results = {trial: read_result(trial, root) for trial in trials}
    return {trial: result for trial, result in results.items() if result is not None}


def _run(left: Sequence[Trial], root: Path, workers: int, title: str, total: int) -> None:
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(threads,),
        max_tasks_per_child=TRIALS_A_PROCESS,
    )
    former = signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        with tqdm(total=total, initial=total - len(left), desc=title, unit="trial", file=sys.stderr) as bar:
            futures = {pool.submit(_work, trial, root): trial for trial in left}
            for future in as_completed(futures):
                if problem := future.result():
                    tqdm.write(f"{futures[future].label}: {problem}", file=sys.stderr)
                bar.set_postfix_str(futures[future].label)
                bar.update()
    except (KeyboardInterrupt, Interrupted):
        _stop(pool)
        raise Interrupted("interrupted; the same command goes on from there") from None
    except BrokenProcessPool:
        raise DataError(
            "a worker process died", remedy="If memory ran out, lower --workers; the same command goes on."
        ) from None
    finally:
        signal.signal(signal.SIGTERM, former)
        pool.shutdown(wait=True, cancel_futures=True)


def _stop(pool: ProcessPoolExecutor) -> None:
    """Lets the trials under way save."""
    for process in list((pool._processes or {}).values()):
        if process.is_alive():
            os.kill(process.pid, signal.SIGTERM)


def _start_worker(threads: int) -> None:
    import tensorflow as tf
    from threadpoolctl import threadpool_limits

    os.setsid()  # Ctrl-C reaches the main process alone, which then asks the workers to stop, once
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    threadpool_limits(threads)


_stopped = False
"""Of a worker: whether it was asked to stop."""


def _work(trial: Trial, root: Path) -> str:
    global _stopped
    if _stopped:  # the pool hands out trials ahead of time
        raise Interrupted
    try:
        return run_trial(trial, root)
    except Interrupted:
        _stopped = True
        raise
