"""Ingestion as Apache Beam runs it here, and its command."""

import runpy
import sys

import numpy as np
import pandas as pd
import pytest

from gdns_tf import ingest as command
from gdns_tf.command import exit_code
from pipelines.config import DataConfig
from pipelines.ingest import beam, sources
from pipelines.ingest.beam import check_options
from pipelines.ingest.config import IngestConfig
from pipelines.load import load_dataset


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((40, 150)) < 0.08)
    rows = pd.DataFrame({"user_id": users, "item_id": items, "timestamp": rng.integers(1000, size=len(users))})
    path = tmp_path / "clicks"
    path.mkdir()
    for part in range(2):
        rows.iloc[part::2].to_csv(path / f"{part}.csv", index=False)
    return path


def run(*arguments):
    classes = [IngestConfig, DataConfig]
    return exit_code(command.main, command.__doc__, classes, ["ingest", *arguments], check_others=check_options)


@pytest.mark.parametrize(
    "options", [[], ["--direct_num_workers=1", "--runner", "DirectRunner"]], ids=["workers", "one worker"]
)
def test_the_command_runs_it_by_beam(table, tmp_path, capsys, monkeypatch, options):
    monkeypatch.setattr(sources, "_BYTES_A_PIECE", 100)
    monkeypatch.setattr(sources, "ROWS_A_BUCKET", 200)
    out = tmp_path / "out"
    flags = ["--dataset=table", f"--data_dir={table}", "--timestamp_column=timestamp", f"--output_dir={out}"]
    assert run(*options, *flags, "--shards=2") == 0
    split = load_dataset(DataConfig(dataset="table", data_dir=table, timestamp_column="timestamp"))
    told = capsys.readouterr()
    assert split.fingerprint in told.out
    assert "rows count as positives" in told.err
    assert "apitools" not in told.err
    assert f"--dataset=ingested --data_dir={out}" in told.out
    assert run(*flags) == 1
    assert "holds an ingested data set already. Set --overwrite" in capsys.readouterr().err


def test_a_bad_row_is_named_through_beam_too(table, tmp_path, capsys):
    with (table / "1.csv").open("a") as file:
        file.write("5,6,\n")
    lines = len((table / "1.csv").read_text().splitlines())
    flags = ["--dataset=table", f"--data_dir={table}", "--timestamp_column=timestamp", f"--output_dir={tmp_path / 'o'}"]
    assert run(*flags) == 1
    assert f"{table / '1.csv'}, line {lines}: timestamp '' is not a finite number" in capsys.readouterr().err


def test_flags_that_nobody_knows_are_refused(tmp_path, capsys):
    for flag, told in (
        ("--spilt_by=time", "--spilt_by=time is a flag neither of ingestion nor of Apache Beam"),
        ("--runner=NoSuchRunner", "Apache Beam has no such runner"),
        ("--direct_num_workers=many", "an option of Apache Beam cannot be read"),
    ):
        assert run("--dataset=planted", f"--output_dir={tmp_path / 'out'}", flag) == 2
        assert told in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


def test_without_beam_it_is_said_what_to_install(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "apache_beam.options.pipeline_options", None)
    assert run("--dataset=planted", f"--output_dir={tmp_path / 'out'}") == 2
    assert "pip install 'gdns_tf[ingest]'" in capsys.readouterr().err


def test_other_runners_get_their_options_as_they_are_given(tmp_path):
    given = ["--runner=FlinkRunner", "--flink_master=cluster:8081", "--parallelism=8"]
    check_options(given)
    stages = beam.Stages(None, given)
    assert stages._options(10, in_processes=True) == given


def test_python_finds_the_command_by_its_name(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["pipelines.ingest", "--help"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("pipelines.ingest", run_name="__main__")
    assert stop.value.code == 0
    told = capsys.readouterr().out
    assert "--output_dir" in told
    assert "--runner=FlinkRunner" in told
