"""Writes out what exported models are served with: Docker Compose, Kubernetes, monitoring, and a README on them.

    python -m gdns_tf.serving_files --to=serving

Exported models go to serving/models/NAME. Files that are there and differ are left alone, unless --overwrite.
"""

from dataclasses import dataclass
from pathlib import Path

from gdns_tf.command import Read, run_command
from pipelines.atomic import whole
from pipelines.checks import Settings
from pipelines.config import flag
from pipelines.errors import InputError
from pipelines.paths import as_path

FILES = Path(__file__).parent / "savedmodel"
"""In a checkout a link to the repository's folder, in a wheel a folder."""
_NOT_OURS = ("models", "dist")
"""What users put there."""


@dataclass(frozen=True)
class ServingFilesConfig(Settings):
    """Where to write."""

    to: str = flag("", "Folder to write to; it is made. Required.", main=True, path=True)
    overwrite: bool = flag(False, "Replace files that are there and differ.", main=True)

    def check(self) -> None:
        if not self.to:
            raise InputError("`to` is not set", remedy="Name a folder, such as serving.")


def write_serving_files(to: Path, *, overwrite: bool = False) -> list[Path]:
    """Copies the files, each of which appears whole or not at all.

    Args:
      to: the folder; it is made.
      overwrite: whether files that are there and differ are replaced.

    Returns:
      The files that were written; what is there already, and the same, is not among them.

    Raises:
      InputError: files are there that differ, all of them named, and nothing was written; or the folder cannot be
        written.
    """
    sources = {path.relative_to(FILES): path for path in sorted(FILES.rglob("*")) if path.is_file()}
    sources = {name: path for name, path in sources.items() if name.parts[0] not in _NOT_OURS}
    try:
        missing = [name for name in sources if not (to / name).exists()]
        differ = [n for n in sources if n not in missing and (to / n).read_bytes() != sources[n].read_bytes()]
        if differ and not overwrite:
            names = ", ".join(map(str, differ))
            remedy = "Move them away, or set `overwrite`."
            raise InputError(f"there are files that differ from what would be written: {names}", path=to, remedy=remedy)
        written = [to / name for name in sources if name in {*missing, *differ}]
        for path in written:
            path.parent.mkdir(parents=True, exist_ok=True)
            source = sources[path.relative_to(to)]
            with whole(path) as unfinished:
                unfinished.write_bytes(source.read_bytes())
                unfinished.chmod(source.stat().st_mode & 0o777 | 0o644)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror or error}", path=to) from None
    return written


def main(read: Read) -> None:
    config = read(ServingFilesConfig)
    to = as_path(config.to)
    written = write_serving_files(to, overwrite=config.overwrite)
    print(f"{len(written)} files written. {to / 'README.md'} tells how to go on.")


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [ServingFilesConfig])


if __name__ == "__main__":
    run()
