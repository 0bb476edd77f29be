"""TLS and tokens, against servers with certificates of an authority that is made here."""

import os
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
import trustme
from raw_server import RawServer, http
from serving_folder import serving
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
from test_hostile_rest import ABOUT, DESCRIBED

from gdns_tf import recommend
from gdns_tf.clients import Access, AccessDenied, Recommender, ServingError, Unavailable
from gdns_tf.command import exit_code
from gdns_tf.server.tls import Tls
from pipelines.errors import InputError

TOKEN = "a-SECRET.token~1+/=="
OPEN = {"grpc": Recommender.from_grpc, "rest": Recommender.from_rest}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Name -> a PEM file or a token's."""
    folder = tmp_path_factory.mktemp("certificates")
    ours, others = trustme.CA(), trustme.CA()
    server, client = ours.issue_cert("localhost", "127.0.0.1"), ours.issue_cert("client@example.com")
    elsewhere = ours.issue_cert("elsewhere.example.com")
    blobs = {
        "ca": ours.cert_pem,
        "other_ca": others.cert_pem,
        "server_cert": server.cert_chain_pems[0],
        "server_key": server.private_key_pem,
        "client_cert": client.cert_chain_pems[0],
        "client_key": client.private_key_pem,
        "client_both": client.private_key_and_cert_chain_pem,
        "elsewhere": elsewhere.private_key_and_cert_chain_pem,
    }
    for name, blob in blobs.items():
        blob.write_to_path(str(folder / name))
    (folder / "token").write_text(f"{TOKEN}\n")
    (folder / "no_token").write_text("SECRET with blanks\r\nX: y")
    (folder / "empty").write_text("")
    (folder / "binary").write_bytes(bytes(range(256)))
    encrypt = ["openssl", "pkey", "-in", folder / "client_key", "-aes256", "-passout", "pass:x"]
    (folder / "encrypted_key").write_bytes(subprocess.run(encrypt, check=True, capture_output=True).stdout)
    return {path.name: str(path) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def tls_server(models, files):
    with serving(models["int64"][0], tls=Tls(files["server_cert"], files["server_key"])) as server:
        yield server


def address(server, protocol):
    return server.grpc_address if protocol == "grpc" else server.rest_address


@pytest.mark.parametrize("protocol", OPEN)
def test_a_server_is_trusted_by_its_authority_and_its_name(tls_server, files, models, protocol):
    where, connect = address(tls_server, protocol), OPEN[protocol]
    assert where.startswith(("https://127.0.0.1:", "grpcs://127.0.0.1:"))
    oracle = models["int64"][1]
    with connect(where, access=Access(ca_file=files["ca"])) as recommender:
        (row,) = recommender.signatures.recommend(oracle.user_ids[:1], 3)
        assert [(entry.item, entry.score) for entry in row.entries] == oracle.recommend(oracle.user_ids[0], 3)
    for access in (Access(ca_file=files["other_ca"]), None):
        with pytest.raises(ServingError, match="its certificate is not trusted") as raised:
            connect(where, access=access, timeout=1.5).describe()
        assert not isinstance(raised.value, Unavailable), "trying again is of no use"
    plain = where.replace("grpcs://", "").replace("https", "http")
    with pytest.raises(ServingError):
        connect(plain, timeout=0.5).describe()


def test_the_certificate_of_another_host_is_not_trusted(files):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files["elsewhere"])
    with (
        RawServer(lambda connection: connection.sendall(http(DESCRIBED)), context) as server,
        pytest.raises(ServingError, match="not trusted: IP address mismatch"),
    ):
        Recommender.from_rest(server.address, access=Access(ca_file=files["ca"])).describe()
    assert not server.requests, "nothing was sent to it"


@pytest.mark.parametrize("protocol", OPEN)
def test_a_server_that_wants_certificates_of_its_clients(models, files, protocol):
    tls = Tls(files["server_cert"], files["server_key"], files["ca"])
    with serving(models["int64"][0], tls=tls) as server:
        connect, where = OPEN[protocol], address(server, protocol)
        for more in ({"cert_file": files["client_cert"], "key_file": files["client_key"]},
                     {"cert_file": files["client_both"]}):  # fmt: skip
            with connect(where, access=Access(files["ca"], **more)) as recommender:
                assert recommender.describe()["k"] == 10
        with pytest.raises(ServingError):
            connect(where, access=Access(files["ca"]), timeout=0.5).describe()


def token_server(files, seen):
    """A gRPC server of one signature, that keeps what it is told and lets nobody in without the token."""

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            seen.append(dict(context.invocation_metadata()).get("authorization"))
            if seen[-1] != f"Bearer {TOKEN}":
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
            response = predict_pb2.PredictResponse()
            response.outputs["json"].CopyFrom(tf.make_tensor_proto(DESCRIBED["outputs"]))
            return response

    server = grpc.server(ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    key, chain = Path(files["server_key"]).read_bytes(), Path(files["server_cert"]).read_bytes()
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)]))
    server.start()
    return server, f"grpcs://127.0.0.1:{port}"


def test_tokens_by_grpc(files, monkeypatch):
    seen = []
    server, where = token_server(files, seen)
    monkeypatch.setenv("MODELS_TOKEN", TOKEN)
    for more in ({"token_file": files["token"]}, {"token_env": "MODELS_TOKEN"}):
        assert Recommender.from_grpc(where, access=Access(files["ca"], **more)).describe() == ABOUT
    with pytest.raises(AccessDenied, match="who are you"):
        Recommender.from_grpc(where, access=Access(files["ca"])).describe()
    assert seen == [f"Bearer {TOKEN}"] * 2 + [None]
    server.stop(0)


def test_tokens_by_rest_are_read_anew_for_each_call(files, tmp_path):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files["server_cert"], files["server_key"])
    path = tmp_path / "token"
    with RawServer(lambda connection: connection.sendall(http(DESCRIBED)), context) as server:
        with Recommender.from_rest(server.address, access=Access(files["ca"], token_file=path)) as recommender:
            for token in ("first", "second"):
                path.write_text(token)
                assert recommender.describe() == ABOUT
        for (head, _), token in zip(server.requests, (b"first", b"second"), strict=True):
            assert b"authorization: Bearer " + token in head


@pytest.mark.parametrize("protocol", OPEN)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({option: "pipe"}, "pipe: this is a pipe") for option in ("ca_file", "cert_file", "token_file")),
        ({"ca_file": "none"}, "none: no certificates of authorities in PEM: No such file"),
        ({"ca_file": "empty"}, "empty: no certificates of authorities in PEM"),
        ({"ca_file": "binary"}, "binary: no certificates of authorities in PEM"),
        ({"cert_file": "client_cert"}, "client_cert: no certificate and its private key"),
        ({"cert_file": "client_cert", "key_file": "encrypted_key"}, "encrypted_key: no certificate and its private"),
        ({"cert_file": "client_cert", "key_file": "server_key"}, "server_key: no certificate and its .*MISMATCH"),
        ({"token_file": "none"}, "none: cannot be read: No such file"),
        ({"token_file": "empty"}, "empty: holds nothing"),
        ({"token_file": "no_token"}, "no_token: holds no bearer token"),
        ({"token_file": "binary"}, "binary: cannot be read: it is no text"),
        ({"token_env": "NO_SUCH_TOKEN"}, "environment variable NO_SUCH_TOKEN: holds nothing"),
    ],
)
def test_files_that_are_not_what_they_should_be(files, tmp_path, protocol, options, message):
    paths = {
        name: value if name == "token_env" else files.get(value, str(tmp_path / value))
        for name, value in options.items()
    }
    os.mkfifo(tmp_path / "pipe")  # that nobody writes to
    where = {"grpc": "grpcs://127.0.0.1:1", "rest": "https://127.0.0.1:1"}[protocol]
    with pytest.raises(ServingError, match=message) as raised:
        OPEN[protocol](where, access=Access(**paths), timeout=1).describe()
    assert "SECRET" not in str(raised.value)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("protocol", OPEN)
@pytest.mark.parametrize("option", ["ca_file", "cert_file", "token_file", "token_env"])
def test_secrets_do_not_go_without_tls(protocol, option):
    where = {"grpc": "127.0.0.1:1", "rest": "http://127.0.0.1:1"}[protocol]
    with pytest.raises(InputError, match=rf"`{option}` would be of no use, or be seen by all, without TLS"):
        OPEN[protocol](where, access=Access(**{option: "x"}))


def test_secrets_are_nowhere_to_be_seen(files, monkeypatch, caplog, capfd):
    monkeypatch.setenv("MODELS_TOKEN", TOKEN)
    access = Access(ca_file=files["ca"], token_env="MODELS_TOKEN")
    for where, connect in (("https://127.0.0.1:1", Recommender.from_rest), ("grpcs://127.0.0.1:1", OPEN["grpc"])):
        recommender = connect(where, access=access, timeout=0.3)
        with pytest.raises(Unavailable) as raised:
            recommender.describe()
        chain, told = raised.value, []
        while chain:
            told.append(repr(chain))
            chain = chain.__cause__ or chain.__context__
        held = [repr(vars(recommender.signatures.backend)), repr(access), *told]
        assert not [text for text in held if "SECRET" in text]
    assert "SECRET" not in caplog.text + "".join(capfd.readouterr())


def test_tls_of_the_server_that_cannot_be(files):
    for cert, key, ca in (
        ("none", "server_key", ""),
        ("server_cert", "client_key", ""),
        ("server_cert", "encrypted_key", ""),
        ("server_cert", "server_key", "empty"),
    ):
        paths = [files.get(name, name) for name in (cert, key, ca)]
        with pytest.raises(InputError, match=r"no certificate.*in PEM"):
            Tls(*paths)


def test_the_command(tls_server, files, models, capsys):
    def run(*flags):
        code = exit_code(recommend.main, recommend.__doc__, [recommend.RecommendConfig], ["recommend", *flags])
        return code, *capsys.readouterr()

    user = f"--user={models['int64'][1].user_ids[0]}"
    for protocol in OPEN:
        server = f"--server={address(tls_server, protocol)}"
        code, out, _ = run(user, server, f"--ca_file={files['ca']}", "--model=none")
        assert (code, out.count("\n")) == (0, 11)
        code, out, err = run(user, server, "--timeout=1")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "its certificate is not trusted" in err
    code, _, err = run(user, "--server=http://127.0.0.1:1", f"--token_file={files['token']}")
    assert (code, err.count("\n")) == (1, 1)
    assert "--token_file would be of no use, or be seen by all, without TLS" in err
    code, _, err = run(user, f"--token_file={files['token']}")
    assert "--token_file go with a server. Give --server." in err
    code, _, err = run(user, f"--token={TOKEN}")
    assert code == 2
    assert "SECRET" not in err


def test_rest_with_tls_needs_no_tensorflow(files):
    program = (
        "import gdns_tf.clients as c, sys\n"
        f"c.Recommender.from_rest('https://127.0.0.1:1', access=c.Access(ca_file={files['ca']!r}))\n"
        "print([n for n in ('tensorflow', 'grpc', 'requests') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
