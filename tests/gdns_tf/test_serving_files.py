"""`python -m gdns_tf.serving_files`: what is written, and what is never written over."""

import os
import stat
from pathlib import Path

import pytest

from gdns_tf import serving_files
from gdns_tf.command import exit_code
from pipelines.errors import InputError

FOLDER = Path(__file__).parents[2] / "savedmodel"


def run(*arguments):
    config = [serving_files.ServingFilesConfig]
    return exit_code(serving_files.main, serving_files.__doc__, config, ["serving_files", *map(str, arguments)])


def content(folder):
    paths = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_what_is_written_is_the_folder(tmp_path, capsys):
    assert run(f"--to={tmp_path / 'to'}") == 0
    expected = {name: data for name, data in content(FOLDER).items() if not name.startswith(("models/", "dist/"))}
    assert content(tmp_path / "to") == expected
    assert capsys.readouterr().out == f"{len(expected)} files written. {tmp_path}/to/README.md tells how to go on.\n"
    assert stat.S_IMODE((tmp_path / "to/config/serve.sh").stat().st_mode) & 0o444 == 0o444, "the server is nobody"


def test_what_was_changed_is_left_alone_unless_told(tmp_path, capsys):
    serving_files.write_serving_files(tmp_path)
    before = content(tmp_path)
    mine = tmp_path / "config/models.config"
    mine.write_text("mine")
    (tmp_path / "README.md").unlink()
    assert run(f"--to={tmp_path}") == 1
    assert "differ from what would be written: config/models.config. Move them away, or set --overwrite" in (
        capsys.readouterr().err
    )
    assert mine.read_text() == "mine"
    assert not (tmp_path / "README.md").exists()
    assert run(f"--to={tmp_path}", "--overwrite") == 0
    assert capsys.readouterr().out.startswith("2 files written")
    assert content(tmp_path) == before


def test_what_it_refuses(tmp_path, capsys):
    assert run() == 1
    assert "--to is not set" in capsys.readouterr().err
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written: (File exists|Not a directory)"):
        serving_files.write_serving_files(tmp_path / "file")
