"""Whatever flags and flagfiles a command is given that cannot work: one line, exit code 1 or 2, and nothing left."""

import contextlib
import importlib
import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdns_tf.command import exit_code
from gdns_tf.flags import groups

NEEDS = {
    "train": (),
    "tune": (),
    "evaluate": ("--run_dir=nowhere",),
    "export": ("--run_dir=nowhere",),
    "recommend": ("--user=1",),
    "serve": (),
    "serving_files": ("--to=there",),
    "study": ("--study_dir=there",),
    "studies.fold_in": ("--output_dir=there",),
    "studies.warm_start": ("--output_dir=there",),
    "benchmarks.training": (),
    "benchmarks.serving": (),
    "benchmarks.retrieval": (),
    "benchmarks.requests": (),
    "benchmarks.soak": (),
}
"""Command -> flags without which it does nothing."""
TEXTS = [
    *(
        "nan",
        "inf",
        "-inf",
        "-1",
        "0",
        "1e400",
        "1e-400",
        "1e5",
        "1_000",
        "9" * 30,
        "9" * 5000,
        "0x10",
        "True",
        "",
        " ",
    ),
    *("x" * 300, "x" * 100_000, "a\nb", "\0", "\udcff", "~nobody-here/x", '"', "None", "[1]", "`x`", "%d"),
]


def run(command, arguments, main=None):
    """What a command exits with, and what it prints to standard output and to standard error.

    Args:
      main: in place of the command's own; given a function that reads a settings dataclass, and all of the command's.
    """
    codes = []

    def run_command(own, about, config_classes, **options):
        body = own if main is None else lambda read: main(read, config_classes)
        codes.append(exit_code(body, about, config_classes, [command, *arguments], **options))

    with pytest.MonkeyPatch.context() as patch, io.StringIO() as out, io.StringIO() as err:
        patch.setattr(f"gdns_tf.{command}.run_command", run_command)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            importlib.import_module(f"gdns_tf.{command}").run()
        return codes[0], out.getvalue(), err.getvalue()


def read_all(read, config_classes):
    for config_class in config_classes:
        read(config_class)


def names_of(command):
    """The flags of a command."""
    found = []
    run(command, [], lambda read, config_classes: found.extend(config_classes))
    return sorted({field.name for each in found for group in groups(each) for field in group.settings})


NAMES = {command: names_of(command) for command in NEEDS}


def error_of(command, arguments):
    """The line that a command refuses its arguments in; fails if it does anything else."""
    code, out, err = run(command, arguments)
    assert code in (1, 2)
    assert not out
    *notices, told = err.splitlines()
    assert told.startswith("error: ")
    assert not any(line.startswith("error") or "Traceback" in line for line in notices)
    assert len(told) < 5000
    return told


@given(data=st.data())
def test_flags_that_cannot_work(data, tmp_path_factory):
    command = data.draw(st.sampled_from(sorted(NEEDS)))
    names = data.draw(st.lists(st.sampled_from(NAMES[command]), min_size=1, max_size=2))
    flags = [f"--{name}={data.draw(st.one_of(st.sampled_from(TEXTS), st.text(max_size=5)))}" for name in names]
    folder = tmp_path_factory.mktemp("flags")
    with contextlib.chdir(folder):
        if run(command, [*NEEDS[command], *flags], read_all)[0] != 0:  # else it would do what it is for
            error_of(command, [*NEEDS[command], *flags])
    assert not list(folder.iterdir())


def flagfiles(folder):
    """name -> (what is told of it, where)."""
    (folder / "here").mkdir()
    (folder / "itself").write_text("--dim=3\n--flagfile=itself\n")
    (folder / "a").write_text("--flagfile=b\n")
    (folder / "b").write_text("\n# more\n--flagfile=a\n")
    (folder / "not utf-8").write_bytes(b"--dim=3\n--output_dir=\xff\n")
    (folder / "zeros").symlink_to("/dev/zero")
    os.mkfifo(folder / "fifo")
    with open(folder / "huge", "wb") as file:
        file.truncate(2**33)
    (folder / "unknown").write_text("# mine\n--dim=3\n--dimm=4\n")
    (folder / "value").write_text("--dim=3\n\n--group_size=many\n")
    (folder / "stray").write_text("--dim=3\ndim=4\n")
    (folder / "ends").write_text("--\n--dim=x\n")
    (folder / "missing").write_text("--dim=3\n--output_dir\n")
    (folder / "recipe").write_text("--recipe=nonesuch\n")
    (folder / "many").write_text("--flagfile=more\n" * 300)
    (folder / "more").write_text("--dim=3\n" * 1000)
    for number in range(100):
        (folder / f"chain{number}").write_text(f"--flagfile=chain{number + 1}\n")
    return {
        "absent": "absent: cannot be read: No such file",
        "here": "here: cannot be read: Is a directory",
        "itself": "itself, line 2: --flagfile=itself names itself",
        "a": "b, line 3: --flagfile=a names itself",
        "not utf-8": "not utf-8, line 2: is not UTF-8 text",
        "zeros": "zeros: is no regular file",
        "fifo": "fifo: is no regular file",
        "huge": "huge: is larger than 1,048,576 bytes",
        "unknown": "unknown, line 3: Unknown command line flag 'dimm'. Did you mean: dim",
        "value": "value, line 3: flag --group_size=many",
        "stray": "stray, line 2: 'dim=4' is no flag",
        "ends": "ends, line 1: '--' is no flag",
        "missing": "missing, line 2: Missing value for flag",
        "recipe": "there is no recipe 'nonesuch'",
        "many": "comes to more than 100,000 lines",
        "chain0": "goes through more than 20 files",
        "x" * 300: "cannot be read: File name too long",
    }


def test_flagfiles_and_recipes_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = flagfiles(tmp_path)
    before = sorted(tmp_path.iterdir())
    for name, message in expected.items():
        assert message in error_of("train", ["--output_dir=new", f"--flagfile={name}"])
        assert message in error_of("train", ["--flagfile", name])
        error_of("train", ["--output_dir=new", f"--recipe={name}"])
    for arguments in (["--flagfile=\0"], ["--flagfile=\udcff"], ["--flagfile"], ["--recipe="], ["--recipe=\0"]):
        error_of("train", arguments)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("command", "flags", "message"),
    [
        ("train", ["--scorer=history", "--sampler=gdns", "--jit_compile"], "does not go with --scorer"),
        ("train", ["--objective=multinomial", "--jit_compile"], "--jit_compile=True does not go with --objective"),
        ("train", ["--sampler=enmf", "--jit_compile"], "--jit_compile=True does not go with --sampler=enmf"),
        ("train", ["--sampler=srns", "--memory_size=3"], "--memory_size=3 must be at least --group_size=32"),
        ("train", ["--sampler=dns_mn", "--top_candidates=65"], "--top_candidates=65 must lie between --group_size=32"),
        ("train", ["--sampler=gdns_tracked", "--gain_slots=9"], "--gain_slots=9 does not go with --sampler"),
        ("train", ["--sampler=gdns", "--margin=inf"], "--margin=inf must be a finite number"),
        ("train", ["--sampler=aobpr", "--rank_scale=inf"], "--rank_scale=inf must be a finite number"),
        ("train", ["--sampler=nncf", "--popularity_power=-1"], "--popularity_power=-1.0 must be 0 or more"),
        ("train", ["--sampler=gnds"], "--sampler=gnds is not known; did you mean 'gdns'?"),
        ("train", ["--learning_rate=1e-60"], "--learning_rate=1e-60 must be 0 or of a size from"),
        ("train", ["--select=ndcg@0"], "--select=ndcg@0 is no metric"),
        ("train", ["--dim=" + "9" * 5000], "--dim=999"),
        ("tune", ["--output_dir=t", "--dropout=3"], "--dropout=3.0 must be below 1"),
        ("tune", ["--output_dir=t", "--search=dim=32|0"], "--dim=0 must be at least 1"),
        ("tune", ["--output_dir=t", "--search=dmi=32"], "--search: `dmi`=32: there is no such setting; did you mean"),
        ("tune", ["--output_dir=t", "--warm_start=x"], "--warm_start does not go with tuning"),
        ("study", ["--study_dir=s", "--study=grid", "--vary=l2=x"], "--vary: --l2=x: could not convert"),
        ("evaluate", ["--run_dir=r", "--k=1,9999999999999"], "--k=9999999999999 must be at most 1,000,000"),
        ("evaluate", ["--run_dir=r", "--bootstrap=100000000000"], "--bootstrap=100000000000 must be at most 1,000,000"),
        ("recommend", ["--user=1", "--timeout=1e10"], "--timeout=10000000000.0 must be at most 86"),
        ("recommend", ['--user="1'], "in a list whose values are quoted as in CSV"),
        ("serve", ["--threads=1000000"], "--threads=1000000 must be at most 1,024"),
        ("export", ["--run_dir=" + "x" * 300], "is too long for a path"),
    ],
)  # fmt: skip
def test_the_flag_at_fault_is_named_before_any_data_is_read(command, flags, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    no_data = ["--dataset=srns"] if command in ("train", "tune", "study") else []
    assert message in error_of(command, [*flags, *no_data])
    assert not list(tmp_path.iterdir())
