"""`fetch` against a server on this machine: what arrives is whole and right, or nothing is left."""

import hashlib
import http.server
import socket
import threading
import time
from pathlib import Path

import pytest
import requests

from pipelines import download
from pipelines.download import cache_folder, fetch, require_reachable
from pipelines.errors import InputError

CONTENT = bytes(range(256)) * 3000
CHECKSUM = hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.server.asked += self.command == "GET"
        if self.path == "/absent.zip":
            self.send_error(404, "Not here")
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(CONTENT[: len(CONTENT) // 2] if self.path == "/short.zip" else CONTENT)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = 0
        server.handle_error = lambda *_: None  # a client that hangs up is part of the tests
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_good(server, tmp_path, capfd):
    target = tmp_path / "new" / "folder" / "a.zip"
    assert fetch(f"{server.url}/a.zip", CHECKSUM, target) == target
    assert target.read_bytes() == CONTENT
    assert everything_in(tmp_path) == ["new/folder/a.zip"]
    assert capfd.readouterr() == ("", "")


def test_file_that_is_there_is_downloaded_again_only_if_wrong(server, tmp_path):
    target = tmp_path / "a.zip"
    target.write_bytes(CONTENT)
    fetch(f"{server.url}/a.zip", CHECKSUM, target)
    assert server.asked == 0
    target.write_bytes(CONTENT[:1000])
    fetch(f"{server.url}/a.zip", CHECKSUM, target)
    assert (server.asked, target.read_bytes()) == (1, CONTENT)


@pytest.mark.parametrize(
    ("file", "checksum", "says"),
    [
        ("a.zip", "0" * 32, f"not the published file .*000.*{CHECKSUM}"),
        ("short.zip", CHECKSUM, "broke off"),
        ("absent.zip", CHECKSUM, "404 Not here"),
    ],
)
def test_bad_answer(server, tmp_path, file, checksum, says):
    with pytest.raises(InputError, match=says) as raised:
        fetch(f"{server.url}/{file}", checksum, tmp_path / file, remedy="Put it there.")
    assert f"{server.url}/{file}" in str(raised.value)
    assert "Put it there." in str(raised.value)
    assert everything_in(tmp_path) == []


def test_refused_connection(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.zip"
        for attempt in (lambda: fetch(url, CHECKSUM, tmp_path / "a.zip"), lambda: require_reachable(url, "Bring it.")):
            with pytest.raises(InputError, match=r"refused.*Check the network"):
                attempt()
    assert everything_in(tmp_path) == []


def test_server_that_never_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.zip"
        start = time.monotonic()
        with pytest.raises(InputError, match="timed out"):
            fetch(url, CHECKSUM, tmp_path / "a.zip")
        assert time.monotonic() - start < 3


def test_name_look_up_that_hangs(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: time.sleep(2))
    with pytest.raises(InputError, match="no answer"):
        fetch("http://data.example/a.zip", CHECKSUM, tmp_path / "a.zip")


def test_interrupt_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(requests.Response, "iter_content", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(f"{server.url}/a.zip", CHECKSUM, tmp_path / "a.zip")
    assert everything_in(tmp_path) == []


def test_failure_keeps_the_file_that_was_there(server, tmp_path):
    target = tmp_path / "a.zip"
    target.write_bytes(b"older")
    with pytest.raises(InputError):
        fetch(f"{server.url}/short.zip", CHECKSUM, target)
    assert target.read_bytes() == b"older"


def test_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        fetch(f"{server.url}/a.zip", CHECKSUM, tmp_path / "file" / "a.zip")


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "gdns_tf"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "gdns_tf"
