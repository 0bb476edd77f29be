"""The command `gdns`: lists the commands of gdns_tf, and runs one.

gdns --help
gdns train --recipe=quickstart      (the same as gdns-train, or python -m gdns_tf.train)
"""

import importlib
import sys

from pipelines.nearest import did_you_mean

COMMANDS = {
    "train": "trains a recommender, or goes on with a run that was broken off",
    "ingest": "turns data into sharded records, which training reads without having them all in memory",
    "tune": "searches for the settings that suit the data, and trains by them",
    "evaluate": "ranks held-out items by a trained model, and compares it with another",
    "export": "writes a trained run as the next version of a model for TensorFlow Serving",
    "serve": "answers REST and gRPC requests to exported models as TensorFlow Serving does, for trying out",
    "recommend": "asks an exported model, or TensorFlow Serving, for recommendations",
    "serving-files": "writes out what to serve with: Docker Compose, Kubernetes, monitoring",
    "study": "runs many trainings and writes one report",
}
"""Command -> what it does; the module has its name, with underscores."""


def main(arguments: list[str]) -> int:
    """Runs the command that the first argument names; returns the exit code."""
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        lines = [f"  gdns {name:<14} {about}" for name, about in COMMANDS.items()]
        print("\n".join(["Commands of gdns_tf; `gdns COMMAND --help` tells more:", "", *lines]))
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        print(f"error: there is no command {name!r}{did_you_mean(name, COMMANDS)} See gdns --help.", file=sys.stderr)
        return 2
    sys.argv = [f"gdns {name}", *arguments[1:]]
    importlib.import_module(f"gdns_tf.{name.replace('-', '_')}").run()
    return 0


def run() -> None:
    """The entry point of the command line."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
