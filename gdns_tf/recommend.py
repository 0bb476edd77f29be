"""Recommendations in the shell, from an exported model or from TensorFlow Serving.

python -m gdns_tf.recommend --user=42 -k 10 --why
python -m gdns_tf.recommend --user=42 --server=localhost:8500          (gRPC)
python -m gdns_tf.recommend --user=42 --server=http://localhost:8501   (REST)
python -m gdns_tf.recommend --user=42 --server=https://models.example.com --ca_file=ca.pem --token_env=MODELS_TOKEN
python -m gdns_tf.recommend --history=260,1196 --format=json
python -m gdns_tf.recommend --all-users --output=recs.parquet
"""

from dataclasses import dataclass
from pathlib import Path

from gdns_tf.clients.access import Access
from gdns_tf.clients.address import grpc_address, is_rest, rest_address
from gdns_tf.clients.backend import LONGEST_ANSWER_MB, LONGEST_TIMEOUT, check_names
from gdns_tf.clients.bulk import WRITERS, recommend_everyone
from gdns_tf.clients.errors import ServingError
from gdns_tf.clients.formats import FORMATS
from gdns_tf.clients.recommender import Recommender
from gdns_tf.clients.results import Recommendations
from gdns_tf.clients.signatures import Signatures
from gdns_tf.clients.titles import read_titles
from gdns_tf.clients.version_folder import version_folder
from gdns_tf.command import Read, run_command
from gdns_tf.serving.contract import TITLES, USER_IDS
from pipelines.checks import Settings
from pipelines.config import flag
from pipelines.errors import InputError, require
from pipelines.paths import as_path

REASONS = 3
"""Items that are named for each one that is recommended, with `why`."""


@dataclass(frozen=True)
class RecommendConfig(Settings):
    """What to ask, whom, and how to show the answer."""

    user: tuple[str, ...] = flag((), "Raw ids of users.", main=True)
    history: tuple[str, ...] = flag((), "Raw item ids that a new user has: recommends without retraining.", main=True)
    similar: tuple[str, ...] = flag((), "Raw ids of items to find similar ones to.", main=True)
    all_users: bool = flag(False, "All users of --model, into --output.", main=True)
    output: str = flag("", f"File to write with --all_users: {', '.join(WRITERS)}.", main=True, path=True)
    k: int = flag(10, "Items for each.", main=True, at_least=1)
    exclude_seen: bool = flag(True, "Leave out items that the user is known to have.")
    exclude: tuple[str, ...] = flag((), "Raw item ids to leave out.")
    restrict_to: tuple[str, ...] = flag((), "Raw item ids to choose from; empty: all.")
    why: bool = flag(False, "Name what of the user's history speaks most for each item.", main=True)
    mmr: float = flag(
        0.0,
        "How much a list avoids items that are alike, from 0 to 1 (maximal marginal relevance).",
        at_least=0,
        at_most=1,
    )
    probes: int = flag(
        0, "Of a model exported with --index: cells of the catalogue to look into; 0: exact.", at_least=0
    )
    model: str = flag(
        "savedmodel/models/gdns",
        "Folder of an exported model (its newest version), or of one version.",
        main=True,
        path=True,
    )
    server: str = flag(
        "",
        "In place of --model: TensorFlow Serving, host:port for gRPC or http://host:port for REST; with TLS "
        "grpcs://host:port or https://host:port.",
        main=True,
    )
    model_name: str = flag("gdns", "The model's name on the server.")
    model_version: int = flag(0, "Its version on the server; 0: the newest.", at_least=0, at_most=2**63 - 1)
    model_label: str = flag("", "Its version's label on the server, in place of --model_version.")
    timeout: float = flag(
        10.0, "Seconds for each call of the server, all attempts together.", above=0, at_most=LONGEST_TIMEOUT
    )
    max_answer_mb: float = flag(
        LONGEST_ANSWER_MB, "Longest answer of the server that is taken, in megabytes.", above=0, at_most=2000
    )
    ca_file: str = flag("", "PEM file of the authorities to trust; empty: the system's.", path=True)
    cert_file: str = flag("", "PEM file of a certificate to show to the server.", path=True)
    key_file: str = flag("", "PEM file of its key, not encrypted; empty: it is in --cert_file.", path=True)
    token_file: str = flag("", "File of a token that lets one in (Authorization: Bearer).", path=True)
    token_env: str = flag("", "Environment variable of one, in place of --token_file.")
    titles: str = flag(
        "", "File of item titles, id<TAB>title a line; empty: those of --model, if it is there.", path=True
    )
    format: str = flag("table", "How to print.", tuple(FORMATS), main=True)
    batch_size: int = flag(256, "Users a request with --all_users.", at_least=1, at_most=2**20)

    def check(self) -> None:
        asked = [f"`{name}`" for name in ("user", "history", "similar", "all_users") if getattr(self, name)]
        if len(asked) != 1:
            raise InputError(
                f"{' and '.join(asked)} exclude each other" if asked else "nothing is asked for",
                remedy="Give one of `user`, `history`, `similar` and `all_users`.",
            )
        check_names(model_name=self.model_name, model_label=self.model_label or "none")
        if self.model_version and self.model_label:
            raise InputError("`model_version` and `model_label` exclude each other")
        if not self.server and (self.model_version or self.model_label):
            raise InputError(
                "`model_version` and `model_label` are a server's", remedy="Give `model`=FOLDER/VERSION in their place."
            )
        self._check_server()
        if self.all_users != bool(self.output):
            raise InputError("`all_users` and `output` go together")
        if self.output:
            path = as_path(self.output)
            require(path.suffix in WRITERS, "output", path, f"must end in {', '.join(WRITERS)}")
            require(path.parent.is_dir(), "output", path, "is in a folder that is not there")
        if not self.user and not self.all_users:
            for name, unset in (("exclude", ()), ("restrict_to", ()), ("exclude_seen", True), ("mmr", 0.0)):
                if getattr(self, name) != unset:
                    raise InputError(f"`{name}` has no effect on {asked[0]}")
        if self.why and not self.user:
            raise InputError(f"`why` has no effect on {asked[0]}")

    def _check_server(self) -> None:
        """Raises InputError for an address that is none, and for secrets that would go out in the open."""
        access = self.access()
        if self.server:
            parse = rest_address if is_rest(self.server) else grpc_address
            access.require_tls(parse(self.server, "server").tls)
        elif given := access.given():
            raise InputError(f"{' and '.join(given)} go with a server", remedy="Give `server`.")

    def access(self) -> Access:
        """How to be let in."""
        return Access(self.ca_file, self.cert_file, self.key_file, self.token_file, self.token_env)


def open_recommender(config: RecommendConfig) -> Recommender:
    """The model that the settings name, with its titles.

    Raises:
      ServingError: there is none, or it does not answer.
    """
    if not config.server:
        recommender = Recommender.from_saved_model(config.model, titles={} if config.titles else None)
    else:
        connect = Recommender.from_rest if is_rest(config.server) else Recommender.from_grpc
        recommender = connect(
            config.server,
            config.model_name,
            version=config.model_version or None,
            label=config.model_label,
            timeout=config.timeout,
            access=config.access(),
            max_answer_mb=config.max_answer_mb,
        )
    path = config.titles or (_beside_the_model(config, TITLES) if config.server else None)
    return recommender.with_titles(read_titles(path, recommender.signatures.item_id_type)) if path else recommender


def ask(config: RecommendConfig, signatures: Signatures) -> tuple[str, Recommendations]:
    """What was asked about (`user`, `history` or `similar`), and the answer."""
    if config.history:
        return "history", signatures.recommend_by_history([config.history], config.k)
    if config.similar:
        return "similar", signatures.similar_items(config.similar, config.k)
    return "user", signatures.recommend(config.user, config.k, why=REASONS * config.why, **_options(config))


def recommend(config: RecommendConfig) -> None:
    """Does what the settings say, and prints it.

    Raises:
      ServingError, InputError, OSError: it cannot be done.
    """
    users = _beside_the_model(config, USER_IDS) if config.all_users else None
    if config.all_users and users is None:
        raise InputError(
            "has no exported model to take the ids of all users from",
            path=config.model,
            remedy="Give `model`, with `server` too.",
        )
    with open_recommender(config) as recommender:
        if users is None:
            kind, answer = ask(config, recommender.signatures)
            print(FORMATS[config.format](kind, answer))
        else:
            output, size = as_path(config.output), config.batch_size
            count = recommend_everyone(recommender.signatures, users, output, config.k, size, **_options(config))
            print(f"{config.output}: recommendations for {count:,} users")


def _options(config: RecommendConfig) -> dict:
    return {name: getattr(config, name) for name in ("exclude_seen", "exclude", "restrict_to", "mmr", "probes")}


def _beside_the_model(config: RecommendConfig, name: str) -> Path | None:
    """A file of the exported model in `model`; None where it, or the model, is not there."""
    try:
        path = version_folder(config.model) / name
    except ServingError:
        return None
    return path if path.exists() else None


def main(read: Read) -> None:
    recommend(read(RecommendConfig))


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [RecommendConfig])


if __name__ == "__main__":
    run()
