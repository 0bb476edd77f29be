"""Seconds and peak memory of each stage from data to answers, at a size that does not fit into memory at once.

    python -m gdns_tf.benchmarks.big_run --output_dir=runs/big
    python -m gdns_tf.benchmarks.big_run --output_dir=runs/small --planted_users=20000 --planted_items=5000

Generates and ingests `planted_large`, whose true preferences are known; trains with GDNS; evaluates on some users
by both protocols, beside popularity; exports; serves, and compares answers with inner products of the run's weights in
NumPy, and with what users truly like. The scorer is `history`: in one epoch a GMF visits each user once, with factors
that are still what they were drawn as, and learns nothing. Each stage is the command that a user would give, in a
process of its own. Memory is the resident memory of the process and those that it starts, sampled; a stage that is done
is not done again.
"""

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gdns_tf.benchmarks.serving import Server, served
from gdns_tf.clients.recommender import Recommender
from gdns_tf.command import Read, run_command
from gdns_tf.markdown import table
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.server.packages import require_packages
from pipelines.checks import Settings
from pipelines.config import DataConfig, flag, seed_flag
from pipelines.errors import InputError
from pipelines.load import load_dataset
from pipelines.readers.planted_large import NAME as DATASET
from pipelines.readers.planted_large import law_of
from pipelines.streamed import StreamedSplit

_SECONDS_BETWEEN_SAMPLES = 0.5
_MODEL, _K = "big", 20
_HEADER = ("stage", "seconds", "peak GiB", "what it says")


@dataclass(frozen=True)
class BigRunConfig(Settings):
    """How large, and where."""

    output_dir: str = flag("", "Folder for the data, the run, the model and report.md. Required.", main=True, path=True)
    planted_users: int = flag(1_000_000, "Users.", main=True, at_least=1000)
    planted_items: int = flag(100_000, "Items.", main=True, at_least=200)
    planted_seed: int = seed_flag(0, "Seed of the data.")
    epochs: int = flag(1, "Epochs of training.", main=True, at_least=1)
    evaluated_users: int = flag(20_000, "Users that are evaluated, drawn at random.", main=True, at_least=1)
    questions: int = flag(50, "Users whose lists are asked for.", main=True, at_least=1)
    train_flags: str = flag(
        "--scorer=history --gain_memory_share=0.2", "Further flags of gdns_tf.train, as on a command line.", main=True
    )

    def check(self) -> None:
        if not self.output_dir:
            raise InputError("`output_dir` is not set", remedy="Name a folder with room for the data.")


@dataclass(frozen=True)
class Stage:
    """What a stage took."""

    name: str
    command: str
    seconds: float
    peak_gib: float
    """Of memory; NaN where there is no /proc."""
    said: str
    """Its last words that tell how well it went."""


class Memory:
    """Samples the resident memory of all processes of a session, while a block lasts."""

    def __init__(self, session: int) -> None:
        """Args:
        session: the id of its leader.
        """
        self._session, self._ended = session, threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peak = float("nan")
        """Bytes."""

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(_SECONDS_BETWEEN_SAMPLES):
            if now := resident(self._session):
                self.peak = np.fmax(self.peak, now)


def resident(session: int) -> int:
    """Bytes of resident memory of all processes of a session; 0 where there is no /proc."""
    pages = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == session:
            pages += int(fields[21])
    return pages * os.sysconf("SC_PAGE_SIZE")


def run_stage(name: str, command: Sequence[str], log: Path) -> Stage:
    """Runs a command to its end.

    Args:
      name: of the stage.
      command: arguments of Python.
      log: the file that gets all that it prints.

    Raises:
      InputError: it fails; names the file.
    """
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command], stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        with Memory(process.pid) as memory:
            code = process.wait()
    seconds, text = time.monotonic() - began, log.read_text(errors="replace")
    if code:
        last = next(reversed(text.strip().splitlines()), "")
        raise InputError(f"the stage {name} ended with {code}: {last}", path=log)
    return Stage(name, shlex.join(["python", *command]), seconds, memory.peak / 2**30, _said(text))


def big_run(config: BigRunConfig) -> list[Stage]:
    """All stages, in turn; prints each as it ends, and writes `report.md`."""
    folder = Path(config.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    data, run, model = folder / "data", folder / "run", folder / _MODEL
    planted = [f"--{name}={value}" for name, value in _planted(config).items()]
    evaluated = [f"--run_dir={run}", f"--users={config.evaluated_users}", "--bootstrap=0"]
    train = ["--sampler=gdns", f"--max_epochs={config.epochs}", f"--eval_every={config.epochs}", "--tensorboard=false"]
    train += [f"--valid_users={config.evaluated_users}", *shlex.split(config.train_flags)]
    commands = {
        "ingest": ["-m", "pipelines.ingest", f"--dataset={DATASET}", *planted, f"--output_dir={data}"],
        "train": ["-m", "gdns_tf.train", f"--data_dir={data}", f"--output_dir={run}", *train],
        "evaluate, sampled": ["-m", "gdns_tf.evaluate", *evaluated, "--compare=popularity"],
        "evaluate, full": ["-m", "gdns_tf.evaluate", *evaluated, "--compare=popularity", "--protocol=full", "--k=20"],
        "export": ["-m", "gdns_tf.export", f"--run_dir={run}", f"--export_dir={model}", "--export_anyway"],
    }
    stages = []
    for name, command in commands.items():
        stages.append(_once(folder, name, lambda n=name, c=command: run_stage(n, c, folder / f"{_file(n)}.log")))
        _show(stages)
    stages.append(_once(folder, "serve", lambda: _serve(config, data, run, model)))
    _show(stages)
    rows = [(s.name, f"{s.seconds:,.0f}", f"{s.peak_gib:.2f}", s.said) for s in stages]
    commands_told = "\n".join(f"{stage.name}: `{stage.command}`\n" for stage in stages)
    (folder / "report.md").write_text(f"{table(_HEADER, rows)}\n\n{commands_told}")
    return stages


def _planted(config: BigRunConfig) -> dict[str, int]:
    """The settings of the data."""
    return {name: getattr(config, name) for name in ("planted_users", "planted_items", "planted_seed")}


def _said(text: str) -> str:
    """What of a stage's output the report shows: the metrics of an evaluation, or its last line."""
    last = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    if not last.startswith("{"):
        return last
    summary = json.loads(last)
    other = summary["comparison"]["metrics"]
    found = [f"{name} {value:.4f} ({other[name]:.4f})" for name, value in summary["metrics"].items()]
    return f"{summary['num_evaluated']:,} users: {', '.join(found)}; in brackets {summary['comparison']['model']}"


def _once(folder: Path, name: str, stage: Callable[[], Stage]) -> Stage:
    """The stage as it was done before, or now."""
    done = folder / f"{_file(name)}.json"
    if done.exists():
        return Stage(**json.loads(done.read_text()))
    found = stage()
    done.write_text(json.dumps(found.__dict__))
    return found


def _file(name: str) -> str:
    return name.replace(", ", "_")


def _show(stages: Sequence[Stage]) -> None:
    last = stages[-1]
    print(f"{last.name:18} {last.seconds:8,.0f} s {last.peak_gib:8.2f} GiB  {last.said}", flush=True)


def _serve(config: BigRunConfig, data: Path, run: Path, model: Path) -> Stage:
    """Serves the model, and asks for the lists of some users one after the other; all must be right."""
    split = load_dataset(DataConfig(dataset="ingested", data_dir=str(data)))
    users = np.random.default_rng(config.planted_seed).choice(split.train.num_users, config.questions, replace=False)
    expected, items = _best_unseen(run, split, users), np.empty((len(users), _K), np.int64)
    began, waits = time.monotonic(), []
    with served(model) as server, Recommender.from_grpc(server.grpc_address, _MODEL, timeout=120) as recommender:
        ready = time.monotonic() - began
        for row, user in enumerate(users):
            asked = time.monotonic()
            found = recommender.recommend([split.train.user_ids[user]], k=_K)
            waits.append(1e3 * (time.monotonic() - asked))
            items[row] = found["item"]
            if not np.allclose(found["score"], expected[row], rtol=1e-4, atol=1e-5):
                raise InputError(f"user {split.train.user_ids[user]}: not the highest scores of what they have not")
        peak = _peak_gib(server)
    law, asked_of = law_of(DataConfig(dataset=DATASET, **_planted(config))), split.train.user_ids[users]
    any_items = np.random.default_rng(config.planted_seed).choice(split.train.item_ids, (len(users), 1000))
    liked, any_liked = (law.likes(asked_of, of).mean() for of in (items, any_items))  # raw ids are the law's numbers
    said = (
        f"ready after {ready:.0f} s; {len(users)} lists of {_K}, all right, {np.median(waits):.0f} ms each; in truth "
        f"their users like {liked:.0%} of them, and {any_liked:.0%} of any items"
    )
    return Stage("serve", f"python -m gdns_tf.serve --model={model}", time.monotonic() - began, peak, said)


def _best_unseen(run: Path, split: StreamedSplit, users: np.ndarray) -> np.ndarray:
    """[n, k] the highest scores of each user among items that they have not, by the run's weights in NumPy."""
    seen = split.select(users).all_interactions()
    with np.load(RunFolder(str(run)).weights) as weights:
        if "P" in weights:
            queries = weights["P"][users] * weights["w"]
        else:  # a user is served by all that they have, trained on or not
            power, had = weights["history_power"], (seen.of(row) for row in range(len(users)))
            queries = np.stack([len(of) ** -power * weights["A"][of].sum(axis=0) for of in had])
        scores = queries @ weights["Q"].T
    scores[seen.users, seen.items] = -np.inf
    return -np.sort(-scores, axis=1)[:, :_K]


def _peak_gib(server: Server) -> float:
    """Of the server's memory; NaN where there is no /proc."""
    try:
        lines = Path(f"/proc/{server.process}/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next((int(line.split()[1]) / 2**20 for line in lines if line.startswith("VmHWM")), float("nan"))


def main(read: Read) -> None:
    require_packages()
    big_run(read(BigRunConfig))


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [BigRunConfig])


if __name__ == "__main__":
    run()
