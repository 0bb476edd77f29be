"""The HTML page says what the Markdown says, and needs no other file."""

import base64
from html.parser import HTMLParser

import pytest

from gdns_tf.report_page import page, save_report

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
REPORT = """# A & B on <clicks>

| system | NDCG@3 |
| --- | --- |
| GDNS | .3100 ± .0048 |
| p < 0.001 | `--l2=0.1` |

## Plots

![by epoch](curves.png)

## How it was made

    python -m gdns_tf.study --vary='l2=0.1|1'
"""


class Read(HTMLParser):
    """Title, headings, cells, code and images of a page; counts what is left open."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.images, self.open = {}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))
        elif tag != "meta":
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag][-1] += data


@pytest.fixture
def read(tmp_path):
    (tmp_path / "curves.png").write_bytes(PIXEL)
    save_report(tmp_path / "report.md", REPORT)
    assert (tmp_path / "report.md").read_text() == REPORT
    return Read((tmp_path / "report.html").read_text(encoding="utf-8"))


def test_it_says_what_the_markdown_says(read):
    assert not read.open
    assert read.texts["title"] == read.texts["h1"] == ["A & B on <clicks>"]
    assert read.texts["td"] == ["GDNS", ".3100 ± .0048", "p < 0.001", "--l2=0.1"]
    assert read.texts["h2"] == ["Plots", "How it was made"]
    assert read.texts["pre"] == ["python -m gdns_tf.study --vary='l2=0.1|1'\n"]
    assert read.texts["a"] == read.texts["h2"]  # the contents


def test_images_are_in_the_page(read):
    (image,) = read.images
    kind, _, data = image["src"].partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == PIXEL
    assert image["alt"] == "by epoch"


def test_a_plot_that_is_missing_is_no_silent_gap(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"curves\.png"):
        page(REPORT, tmp_path)
