"""Recommendations in the shell, from an exported model or from TensorFlow Serving.

python -m gdns_tf.recommend --user=42 -k 10
python -m gdns_tf.recommend --user=42 --server=localhost:8500          (gRPC)
python -m gdns_tf.recommend --user=42 --server=http://localhost:8501   (REST)
python -m gdns_tf.recommend --history=260,1196 --format=json
python -m gdns_tf.recommend --all-users --output=recs.parquet
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import app
from absl import flags as absl_flags

from gdns_tf.clients.bulk import WRITERS, recommend_everyone
from gdns_tf.clients.errors import ServingError
from gdns_tf.clients.in_process import version_folder
from gdns_tf.clients.recommender import Recommender
from gdns_tf.clients.results import Recommendations
from gdns_tf.clients.titles import read_titles
from gdns_tf.flags import define, from_flags
from pipelines.config import flag
from pipelines.errors import InputError

FORMATS = ("table", "json")
_TITLES = Path("assets.extra", "titles.tsv")
_USERS = Path("assets", "user_ids.txt")


@dataclass(frozen=True)
class RecommendConfig:
    """What to ask, whom, and how to show the answer."""

    user: tuple[str, ...] = flag((), "Raw ids of users.")
    history: tuple[str, ...] = flag((), "Raw item ids that a new user has: recommends without retraining.")
    similar: tuple[str, ...] = flag((), "Raw ids of items to find similar ones to.")
    all_users: bool = flag(False, "All users of --model, into --output.")
    output: str = flag("", f"File to write with --all_users: {', '.join(WRITERS)}.")
    k: int = flag(10, "Items for each.")
    exclude_seen: bool = flag(True, "Leave out items that the user is known to have.")
    exclude: tuple[str, ...] = flag((), "Raw item ids to leave out.")
    restrict_to: tuple[str, ...] = flag((), "Raw item ids to choose from; empty: all.")
    model: str = flag("savedmodel/models/gdns", "Folder of an exported model (its newest version), or of one version.")
    server: str = flag("", "In place of --model: TensorFlow Serving, host:port for gRPC or http://host:port for REST.")
    model_name: str = flag("gdns", "The model's name on the server.")
    model_version: int = flag(0, "Its version on the server; 0: the newest.")
    model_label: str = flag("", "Its version's label on the server, in place of --model_version.")
    timeout: float = flag(10.0, "Seconds to wait for the server.")
    titles: str = flag("", "File of item titles, id<TAB>title a line; empty: those of --model, if it is there.")
    format: str = flag("table", "How to print.", FORMATS)
    batch_size: int = flag(256, "Users a request with --all_users.")

    def __post_init__(self) -> None:
        """Raises InputError, naming the flag, for values that cannot work."""
        asked = [name for name in ("user", "history", "similar", "all_users") if getattr(self, name)]
        if len(asked) != 1:
            raise InputError(
                f"--{' and --'.join(asked)} exclude each other" if asked else "nothing is asked for",
                remedy="Give one of --user=ID, --history=ID,ID, --similar=ID and --all_users.",
            )
        for name in ("k", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name}={getattr(self, name)} must be at least 1")
        if not self.timeout > 0:
            raise InputError(f"--timeout={self.timeout:g} must be above 0")
        if self.model_version < 0:
            raise InputError(f"--model_version={self.model_version} must not be negative")
        if self.model_version and self.model_label:
            raise InputError("--model_version and --model_label exclude each other")
        if not self.server and (self.model_version or self.model_label):
            raise InputError("--model_version and --model_label are a server's", remedy="Give --model=FOLDER/VERSION.")
        if self.all_users != bool(self.output):
            raise InputError("--all_users and --output go together")
        if self.output and Path(self.output).suffix not in WRITERS:
            raise InputError(f"--output={self.output} must end in {', '.join(WRITERS)}")
        if not self.user and not self.all_users:
            for name in ("exclude", "restrict_to"):
                if getattr(self, name):
                    raise InputError(f"--{name} has no effect on --{asked[0]}")


def open_recommender(config: RecommendConfig) -> Recommender:
    """The model that the flags name, with its titles.

    Raises:
      ServingError: there is none, or it does not answer.
    """
    if not config.server:
        recommender = Recommender.from_saved_model(config.model)
    else:
        is_rest = config.server.startswith(("http://", "https://"))
        connect = Recommender.from_rest if is_rest else Recommender.from_grpc
        version = config.model_version or None
        recommender = connect(
            config.server, config.model_name, version=version, label=config.model_label, timeout=config.timeout
        )
    path = Path(config.titles) if config.titles else _beside_the_model(config, _TITLES)
    return recommender.with_titles(read_titles(path, recommender.item_id_type)) if path else recommender


def _beside_the_model(config: RecommendConfig, name: Path) -> Path | None:
    """A file of the exported model in --model; None where it, or the model, is not there."""
    try:
        path = version_folder(config.model) / name
    except ServingError:
        return None
    return path if path.is_file() else None


def ask(config: RecommendConfig, recommender: Recommender) -> Recommendations:
    """The answer to --user, --history or --similar."""
    if config.history:
        return recommender.recommend_by_history([config.history], config.k)
    if config.similar:
        return recommender.similar_items(config.similar, config.k)
    return recommender.recommend(
        config.user,
        config.k,
        exclude_seen=config.exclude_seen,
        exclude=config.exclude,
        restrict_to=config.restrict_to,
    )


def format_json(kind: str, answer: Recommendations) -> str:
    """One JSON document: a list with an object for each row."""
    rows = []
    for place, row in enumerate(answer):
        result = {kind: row.query, "known": row.known, "items": [dataclasses.asdict(entry) for entry in row.entries]}
        if answer.num_unknown is not None:
            result["num_unknown"] = int(answer.num_unknown[place])
        rows.append(result)
    return json.dumps(rows, ensure_ascii=False, indent=1)


def format_table(kind: str, answer: Recommendations) -> str:
    """The rows for people, with a word where the model does not know what it was asked about."""
    blocks = []
    for place, row in enumerate(answer):
        name = ", ".join(map(str, row.query)) if kind == "history" else row.query
        lines = [f"{kind.capitalize()} {name}"]
        if not row.known:
            unknown = {"user": "unknown user", "history": "no known item in it", "similar": "unknown item"}[kind]
            lines[0] += f": {unknown}" + ("" if kind == "similar" else "; the most popular items:")
        elif answer.num_unknown is not None and answer.num_unknown[place]:
            lines[0] += f" ({answer.num_unknown[place]} of them unknown)"
        width = max((len(str(entry.item)) for entry in row.entries), default=0)
        for rank, entry in enumerate(row.entries, start=1):
            title = "" if entry.title is None else f"  {entry.title}"
            lines.append(f"{rank:4}. {entry.item:>{width}} {entry.score:12.4f}{title}")
        if row.known and not row.entries:
            lines.append("  no item is left to recommend")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def recommend(config: RecommendConfig) -> None:
    """Does what the flags say.

    Raises:
      ServingError, InputError, OSError: it cannot be done.
    """
    users = None
    if config.all_users:
        users = _beside_the_model(config, _USERS)
        if users is None:
            raise InputError(
                "has no exported model to take the ids of all users from",
                path=config.model,
                remedy="Give --model, with --server too.",
            )
    with open_recommender(config) as recommender:
        if users is not None:
            count = recommend_everyone(
                recommender,
                users,
                Path(config.output),
                config.k,
                config.batch_size,
                exclude_seen=config.exclude_seen,
                exclude=config.exclude,
                restrict_to=config.restrict_to,
            )
            print(f"{config.output}: recommendations for {count:,} users")
        else:
            kind = "history" if config.history else "similar" if config.similar else "user"
            format_answer = format_json if config.format == "json" else format_table
            print(format_answer(kind, ask(config, recommender)))


def with_underscores(argv: Sequence[str]) -> list[str]:
    """The command line with `--all-users` spelt as absl knows it, `--all_users`."""

    def spelt(argument: str) -> str:
        name, equals, value = argument.partition("=")
        return name[:2] + name[2:].replace("-", "_") + equals + value if name.startswith("--") else argument

    return [spelt(argument) for argument in argv]


def main(argv: list[str], flag_values: absl_flags.FlagValues = absl_flags.FLAGS) -> int:
    """Recommends as the flags say; returns the exit status."""
    try:
        if len(argv) > 1:
            raise InputError(f"{argv[1]!r} is no flag", remedy="Flags begin with --.")
        recommend(from_flags(RecommendConfig, flag_values=flag_values))
    except (ServingError, InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: nothing was written.", file=sys.stderr)
        return 130
    return 0


def run() -> None:
    """The entry point of the command line."""
    define(RecommendConfig)
    app.run(main, argv=with_underscores(sys.argv))


if __name__ == "__main__":
    run()
