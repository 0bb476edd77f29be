"""Addresses, models, times and sizes that a server's cannot be, refused in one line before anything is sent."""

import math

import pytest

from gdns_tf import recommend
from gdns_tf.clients import Recommender
from gdns_tf.clients.address import grpc_address, rest_address
from gdns_tf.command import exit_code
from pipelines.errors import InputError

WRONG = [
    "http://a..b",
    "http://",
    "http://:8501",
    "http://-a",
    "http://" + "a" * 64,
    "http://" + "a." * 200 + "b..",
    "http://a:b",
    "http://a:-1",
    "http://a:0",
    "http://a:65536",
    "http://a:99999999999999999999",
    "http://a b",
    "http://a\n",
    "http://a\x00b",
    "http://\udcff",
    "http://[::1",
    "http://[1.2.3]:1",
    "http://a?token=x",
    "http://a/#x",
    "http://user:SECRET@a",
    "http://SECRET@a:1",
    "https://ｅxample..com",
]
OF_NO_SCHEME = ["ftp://a", "a:1", "", "//a:1", "http:/a", "httpx://a"]
OF_NO_GRPC = ["a", "", ":1", "a:b", "a:-1", "a:0", "a:65536", "a..b:1", "SECRET@a:1", "http://a:1", "a:1/x", "a b:1"]


@pytest.mark.parametrize("text", [*WRONG, *OF_NO_SCHEME])
def test_no_rest_address(text):
    refused(rest_address, text, lambda: Recommender.from_rest(text))


@pytest.mark.parametrize("text", OF_NO_GRPC)
def test_no_grpc_address(text):
    refused(grpc_address, text, lambda: Recommender.from_grpc(text))


def refused(parse, text, connect):
    for call in (lambda: parse(text), connect):
        with pytest.raises(InputError) as raised:
            call()
        assert str(raised.value).isprintable()
        assert "SECRET" not in str(raised.value)


def test_addresses_that_can_be():
    found = rest_address("https://Models.Example.com/serving/")
    assert (found.tls, found.host, found.port, found.path) == (True, "models.example.com", 443, "/serving")
    assert rest_address("http://127.0.0.1:8501").port == 8501
    assert rest_address("http://[::1]:1").host == "::1"
    assert rest_address("http://bücher.example").host == "xn--bcher-kva.example"
    assert rest_address("http://my_service.ns.svc.cluster.local.").host == "my_service.ns.svc.cluster.local."
    for text in ("a:1", "grpc://a:1", "grpcs://a:1"):
        assert grpc_address(text).target == "a:1"
    for text in ("[::1]:1", "unix:/x", "dns:///a:1"):  # the last two are gRPC's own
        assert grpc_address(text).target == text
    assert [grpc_address(text).tls for text in ("a:1", "grpc://a:1", "grpcs://a:1")] == [False, False, True]


@pytest.mark.parametrize("connect", [Recommender.from_rest, Recommender.from_grpc])
@pytest.mark.parametrize(
    "options",
    [
        *({"timeout": seconds} for seconds in (0, -1, math.nan, math.inf, 1e10)),
        *({"max_answer_mb": size} for size in (0, -1, math.nan, math.inf, 1e6)),
        {"model": ""},
        {"model": "\ud800"},
        {"model": "a\nb"},
        {"label": "\ud800"},
        {"version": -1},
        {"version": 2**63},
        {"version": 1, "label": "a"},
    ],
    ids=ascii,
)
def test_what_cannot_be_asked_for(connect, options):
    address = "http://a:1" if connect == Recommender.from_rest else "a:1"
    with pytest.raises(InputError) as raised:
        connect(address, **options)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "flags",
    [
        *([f"--server={text}"] for text in WRONG if text.isprintable()),
        *([f"--server={text}"] for text in OF_NO_GRPC if text and not text.startswith("http")),
        ["--server=a:1", "--timeout=1e10"],
        ["--server=a:1", "--timeout=nan"],
        ["--server=a:1", "--timeout=-1"],
        ["--server=a:1", "--max_answer_mb=inf"],
        ["--server=a:1", "--model_version=9223372036854775808"],
        ["--server=a:1", "--model_name="],
        ["--server=a:1", "--token_file=x", "--token_env=Y"],
        ["--server=grpcs://a:1", "--key_file=x"],
    ],
    ids=" ".join,
)
def test_the_command_says_so_in_a_line(flags, capsys):
    arguments = ["recommend", "--user=1", *flags]
    assert exit_code(recommend.main, recommend.__doc__, [recommend.RecommendConfig], arguments) in (1, 2)
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: ")
    assert "SECRET" not in err
