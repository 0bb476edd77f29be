"""MovieLens releases in every place they may lie; the real head of ml-1m."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipelines import download
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.readers import movielens, reader

HEAD = Path(__file__).parents[3] / "../shared/data/ml-1m-head"

RATINGS = [(9, 50, 4.0, 100.0), (2, 7, 3.0, 99.0), (9, 7, 5.0, 100.0)]
FILES = {
    "ml-1m": {
        "ratings.dat": b"9::50::4::100\n2::7::3::99\n9::7::5::100\n",
        "movies.dat": "7::Léon: The Professional (1994)::Crime\r\n50::B (1995)::Drama\n".encode("latin-1"),
    },
    "ml-100k": {
        "u.data": b"9\t50\t4\t100\n2\t7\t3\t99\n9\t7\t5\t100\n",
        "u.item": "7|Léon: The Professional (1994)|1-Jan-1994||u|0\n50|B (1995)|||u|1\n".encode("latin-1"),
    },
}
CSV = {
    "ratings.csv": b"userId,movieId,rating,timestamp\n9,50,4.0,100\n2,7,3.0,99\n9,7,5.0,100\n",
    "movies.csv": 'movieId,title,genres\n7,Léon: The Professional (1994),Crime\n50,"B, ""A"" (1995)",Drama\n'.encode(),
}
FILES |= dict.fromkeys(("ml-20m", "ml-25m", "ml-32m"), CSV)


def put(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in FILES[name].items():
        (folder / file).write_bytes(content)
    return folder


def put_zip(path: Path, name: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, content in FILES[name].items():
            archive.writestr(f"{name}/{file}", content)
    return path


def read(path, name):
    return reader(name).read(Path(path), DataConfig(dataset=name, data_dir=str(path)))


def check(ratings, name):
    rows = zip(*(a.tolist() for a in (ratings.users, ratings.items, ratings.ratings, ratings.timestamps)), strict=True)
    assert list(rows) == RATINGS
    assert [a.dtype for a in (ratings.users, ratings.items, ratings.ratings, ratings.timestamps)] == [
        np.int64,
        np.int64,
        np.float32,
        np.float64,
    ]
    second = 'B, "A" (1995)' if FILES[name] is CSV else "B (1995)"
    assert ratings.titles == {7: "Léon: The Professional (1994)", 50: second}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gdns_tf"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", ["file", "folder", "folder of that name", "zip", "folder with the zip"])
def test_places(tmp_path, name, place):
    ratings_file = next(iter(FILES[name]))
    path = {
        "file": lambda: put(tmp_path / "a", name) / ratings_file,
        "folder": lambda: put(tmp_path / "a", name),
        "folder of that name": lambda: put(tmp_path / "a" / name, name).parent,
        "zip": lambda: put_zip(tmp_path / "any.zip", name),
        "folder with the zip": lambda: put_zip(tmp_path / "a" / f"{name}.zip", name).parent,
    }[place]()
    check(read(path, name), name)


@pytest.mark.parametrize("data_dir", ["", "empty folder"])
def test_downloaded_when_absent(tmp_path, monkeypatch, cache, data_dir):
    asked = []

    def fetch(url, checksum, target, *, remedy):
        asked.append((url, checksum, target))
        return put_zip(target, "ml-1m")

    monkeypatch.setattr(movielens, "fetch", fetch)
    if data_dir:
        data_dir = str(tmp_path / data_dir)
        Path(data_dir).mkdir()
    check(
        reader("ml-1m").read(Path(data_dir) if data_dir else None, DataConfig(dataset="ml-1m", data_dir=data_dir)),
        "ml-1m",
    )
    url = "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
    assert asked == [(url, "c4d9eecfca2ab87c1945afe126590906", cache / "ml-1m.zip")]


def test_no_network_says_what_was_looked_for(tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(download.urllib.request, "urlopen", no_network)
    with pytest.raises(InputError, match=r"Network is unreachable.*ratings\.dat or ml-1m\.zip") as raised:
        read(tmp_path, "ml-1m")
    assert str(tmp_path) in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_csv_written_again_with_quotes(tmp_path):
    path = put(tmp_path, "ml-25m") / "ratings.csv"
    path.write_text('"userId","movieId","rating","timestamp"\n9,50,4.0,100\n"2","7","3.0","99"\n9,7,5,100\n')
    check(read(tmp_path, "ml-25m"), "ml-25m")


def test_without_the_movies_file_there_are_no_titles(tmp_path):
    (put(tmp_path, "ml-1m") / "movies.dat").unlink()
    assert read(tmp_path, "ml-1m").titles == {}


@pytest.mark.parametrize("line", ["x::A::Drama", "7", "-7::A::Drama"])
def test_bad_movies_line(tmp_path, line):
    path = put(tmp_path, "ml-1m") / "movies.dat"
    path.write_text(f"7::A::Drama\n\n{line}\n")
    with pytest.raises(InputError) as raised:
        read(tmp_path, "ml-1m")
    assert (raised.value.path, raised.value.line) == (str(path), 3)


def test_movies_that_were_converted_to_utf8(tmp_path):
    path = put(tmp_path, "ml-1m") / "movies.dat"
    path.write_bytes(path.read_bytes().decode("latin-1").encode("utf-8"))
    check(read(tmp_path, "ml-1m"), "ml-1m")


@pytest.mark.skipif(not HEAD.exists(), reason="the head of the real ml-1m is not on this machine")
def test_head_of_the_real_ml1m(tmp_path):
    lines = (HEAD / "ratings.dat").read_text().splitlines()
    expected = np.array([line.split("::") for line in lines]).astype(np.int64)
    for path in (HEAD, HEAD / "ratings.dat", Path(shutil.copy(HEAD / "ratings.dat", tmp_path)).parent):
        ratings = read(path, "ml-1m")
        for column, values in enumerate((ratings.users, ratings.items, ratings.ratings, ratings.timestamps)):
            np.testing.assert_array_equal(values, expected[:, column])
        assert len(ratings.titles) == (0 if path == tmp_path else 3883)
    assert (len(lines), lines[0], lines[-1]) == (100_000, "1::1193::5::978300760", "669::589::5::975633871")
    titles = read(HEAD, "ml-1m").titles
    assert (titles[1], titles[73]) == ("Toy Story (1995)", "Misérables, Les (1995)")
