"""What all commands share: help, flags and errors by the names of flags, exit codes, notices."""

import subprocess
import sys
from dataclasses import dataclass

import pytest

from gdns_tf import cli
from gdns_tf.command import exit_code
from gdns_tf.runs.interrupts import Interrupted
from gdns_tf.training.config import TrainConfig
from pipelines.config import flag
from pipelines.errors import InputError
from pipelines.notices import notices


@dataclass(frozen=True)
class Bread:
    """What to bake. And how."""

    flour: str = flag("rye", "Which.", ("rye", "wheat"), main=True)
    loaves: int = flag(2, "How many.", main=True)
    secret_salt: float = flag(0.5, "Not for beginners.")


def bake(*arguments, body=lambda read: print(read(Bread))):
    return exit_code(body, "Bakes bread.", [Bread], ["bake", *arguments])


def test_the_body_gets_the_flags(capsys):
    assert bake("--flour=wheat", "--secret-salt=1") == 0
    assert capsys.readouterr().out == f"{Bread('wheat', 2, 1.0)}\n"


def test_help_shows_what_matters_and_helpfull_the_rest(capsys):
    assert bake("--help") == 0
    short = capsys.readouterr().out
    assert short.startswith("Bakes bread.")
    assert "What to bake:" in short
    assert "Which. One of rye, wheat. (default: rye)" in short
    assert "--secret_salt" not in short
    assert bake("--helpfull") == 0
    assert "--secret_salt" in capsys.readouterr().out


def test_help_of_training_shows_a_dozen_or_so_and_groups_the_rest_by_sampler(capsys):
    def show(flag):
        assert exit_code(lambda read: None, "Trains.", [TrainConfig], ["train", flag]) == 0
        return capsys.readouterr().out

    assert 10 <= show("--help").count("\n  --") <= 18
    full = show("--helpfull")
    gdns, srns = full.index("sampler gdns:"), full.index("sampler srns:")
    assert "--smoothing" in full[gdns:]
    assert "--memory_size" in full[srns : full.index("\n\n", srns)]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--flour=spelt", "--flour=spelt: value should be one of <rye|wheat>"),
        ("--flor=rye", "Did you mean: flour"),
        ("rye", "'rye' is no flag"),
        ("--loaves=many", "--loaves=many"),
    ],
)
def test_flags_that_cannot_be_read_exit_with_2(argument, message, capsys):
    assert bake(argument) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert not captured.out


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (InputError("`loaves`=0 and `other`=1 are wrong", remedy="Raise `loaves`."), 1,
         "error: --loaves=0 and `other`=1 are wrong. Raise --loaves."),
        (FileNotFoundError(2, "No such file", "x"), 1, "error: [Errno 2] No such file: 'x'"),
        (FloatingPointError("diverged"), 1, "error: diverged"),
        (Interrupted("goes on from there"), 130, "goes on from there"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)  # fmt: skip
def test_errors_become_a_line_and_an_exit_code(error, code, shown, capsys):
    def fail(read):
        raise error

    assert bake(body=fail) == code
    assert capsys.readouterr().err == f"{shown}\n"


def test_a_bug_is_not_hidden():
    def fail(read):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bake(body=fail)


def test_notices_are_shown_with_flags_and_only_while_the_command_runs(capsys):
    def tell(read):
        notices.warning("`loaves`=2 has no effect")
        notices.info("baked")

    before = (notices.level, list(notices.handlers), notices.propagate)
    assert bake(body=tell) == 0
    captured = capsys.readouterr()
    assert captured.err == "warning: --loaves=2 has no effect\nbaked\n"
    assert not captured.out
    assert (notices.level, list(notices.handlers), notices.propagate) == before


def test_a_flag_of_a_sampler_that_is_not_chosen_is_said(capsys):
    def read_it(read):
        read(TrainConfig)

    assert exit_code(read_it, "", [TrainConfig], ["train", "--sampler=uniform", "--smoothing=0.5"]) == 0
    assert capsys.readouterr().err == "warning: --smoothing=0.5 has no effect on --sampler=uniform.\n"


def test_gdns_lists_the_commands_and_runs_them(capsys):
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"gdns {name}" in out for name in cli.COMMANDS)
    assert cli.main(["trian"]) == 2
    assert "did you mean 'train'?" in capsys.readouterr().err
    command = [sys.executable, "-m", "gdns_tf.cli", "evaluate", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert "--run_dir" in done.stdout
