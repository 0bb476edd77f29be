"""The version folders of a model: which there are, which are wanted, and whether one has been written to its end."""

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path

from tensorflow_serving.config import file_system_storage_path_source_pb2

from gdns_tf.serving.remote_versions import downloaded, files_of
from pipelines.paths import AnyPath, RemotePath, as_path

Policy = file_system_storage_path_source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy
Listing = frozenset[tuple[tuple[str, ...], int, float]]
"""Names, sizes and times of the files of a version: what tells that it has changed."""
GRAPH = ("saved_model.pb",)


def version_folders(base_path: str) -> dict[int, AnyPath]:
    """Number -> folder, for all names in the model's folder that are numbers.

    Raises:
      FileNotFoundError, InputError: the folder is not there, or its store cannot be reached.
    """
    base = as_path(base_path)
    if isinstance(base, RemotePath) and not base.exists():
        return {}  # stores have no empty folders
    named = [path for path in base.iterdir() if path.name.isascii() and path.name.isdigit()]
    return {int(path.name): path for path in named if isinstance(path, RemotePath) or path.is_dir()}


def wanted_versions(numbers: Collection[int], policy: Policy) -> set[int]:
    """Which of these versions a policy wants: the newest unless it says otherwise."""
    kind = policy.WhichOneof("policy_choice") or "latest"
    if kind == "specific":
        return set(numbers) & set(policy.specific.versions)
    if kind == "all":
        return set(numbers)
    return set(sorted(numbers, reverse=True)[: max(policy.latest.num_versions, 1)])


def listing(folder: AnyPath) -> Listing:
    """What a version's folder holds; nothing where it has just gone."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for names, path in files_of(folder):
            stat = path.stat()
            size, time = (stat.length, stat.mtime) if isinstance(path, RemotePath) else (stat.st_size, stat.st_mtime)
            found.append((names, size, time or 0))
    return frozenset(found)


def has_graph(files: Listing) -> bool:
    """Whether there is a SavedModel in it: exports to object stores write the graph last."""
    return any(names == GRAPH for names, _, _ in files)


@contextlib.contextmanager
def on_this_machine(folder: AnyPath) -> Iterator[Path]:
    """The folder itself, or a copy of it while the block lasts where it is in an object store."""
    if isinstance(folder, RemotePath):
        with downloaded(folder) as copy:
            yield copy
    else:
        yield folder
