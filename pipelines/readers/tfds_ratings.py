"""Ratings sets of TensorFlow Datasets: `dataset`=tfds:movielens/1m-ratings and the like.

TFDS shuffles, so the order of the source is lost: rows are put into a canonical one (by user, time, item). Two ratings
of a user at the same second are common in MovieLens, and which of them counts as the later then differs from the
published split, which goes by the order of `ratings.dat`; use `dataset`=ml-1m to have that one.

A set that is prepared already, in `data_dir` or TFDS's own folder, is read without a network. So is one whose archive
(`ml-1m.zip`) lies in `data_dir`, or in the download folder where that is empty; TFDS checks its checksum.

Names with a namespace (`huggingface:NAME`, `kaggle:NAME`) are of others than TFDS, which downloads their code and runs
it. So they are refused unless `tfds_community` allows it.
"""

import operator
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from functools import reduce

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_datasets as tfds

from pipelines.config import COLUMNS, DEFAULT_COLUMNS, FILTERS, DataConfig
from pipelines.download import cache_folder, require_reachable
from pipelines.errors import InputError
from pipelines.interactions import Ratings
from pipelines.paths import AnyPath, RemotePath
from pipelines.raw_ids import ranks_of, take
from pipelines.readers.ids import titles_by_item
from pipelines.readers.kinds import RATING, SECONDS, TEXT, TOKEN, Kind
from pipelines.readers.typed import convert

SETTINGS = ("data_dir", "tfds_community", *FILTERS, *COLUMNS)
_BATCH_ROWS = 1 << 16
_COLUMNS: dict[str, tuple[Kind, tuple[str, ...]]] = {
    "user_column": (TOKEN, ("user_id", "userid", "user", "customer_id", "reviewer_id", "uid")),
    "item_column": (TOKEN, ("item_id", "movie_id", "product_id", "book_id", "song_id", "itemid", "item", "asin")),
    "rating_column": (RATING, ("user_rating", "rating", "star_rating", "stars", "score")),
    "timestamp_column": (SECONDS, ("timestamp", "unix_time", "time")),
    "title_column": (TEXT, ("movie_title", "item_title", "product_title", "book_title", "title")),
}


def read(path: AnyPath | None, config: DataConfig) -> Ratings:
    """Reads all splits of the set that `dataset` names after `tfds:`, preparing it first where needed.

    Args:
      path: TFDS's data folder, on this machine or gs://; None: its own.
      config: the column settings name features that are not recognised by themselves (`data/user` for a nested one).

    Returns:
      `Ratings` sorted by user, time and item; ids are int64 or text (see `pipelines.readers.ids`).

    Raises:
      InputError: no such set, no user or item among its features, or it must be downloaded and cannot be.
    """
    source = config.dataset
    _check_name(source, config.tfds_community)
    builder = _prepared(path, source)
    features = dict(_leaves(builder.info.features))
    paths = _recognise(features, config, source)
    columns = _columns(builder, paths, source)
    users, items = columns["user_column"], columns["item_column"]
    grades, times = columns.get("rating_column"), columns.get("timestamp_column")
    titles = titles_by_item(items, columns["title_column"], source) if "title_column" in columns else {}
    keys = grades, ranks_of(items), times, ranks_of(users)
    order = np.lexsort([key for key in keys if key is not None])
    return Ratings(
        take(users, order),
        take(items, order),
        None if grades is None else grades[order],
        None if times is None else times[order],
        titles,
        source=source,
    )


def _check_name(source: str, community: bool) -> None:
    """Raises InputError for a name that TFDS cannot read, or that has it load code which is not its own."""
    name = source.partition(":")[2]
    try:
        namespace = tfds.core.naming.parse_builder_name_kwargs(name)[0].namespace
    except (ValueError, TypeError, SyntaxError):
        raise InputError(
            "this is no name of a set",
            path=source,
            remedy="Give the name as in tfds.load, such as tfds:movielens/1m-ratings.",
        ) from None
    if namespace and not community:
        raise InputError(
            f"is a community set: TFDS would download code of {namespace!r} and run it",
            path=source,
            remedy="If you trust it, set `tfds_community`.",
        )


def _prepared(folder: AnyPath | None, source: str) -> tfds.core.DatasetBuilder:
    """The builder of a set whose files are there, prepared now if they were not."""
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    if isinstance(folder, RemotePath) and not str(folder).startswith("gs://"):
        raise InputError(
            "TFDS reads no such store", path=folder, remedy="Copy the folder to this machine, or to gs://."
        )
    try:
        builder = tfds.builder(source.partition(":")[2], data_dir=folder)
    except Exception as error:  # whatever a builder's own code raises, or one that gets arguments it does not know
        raise InputError(
            f"TFDS cannot open this set ({(str(error) or type(error).__name__).splitlines()[0]})",
            path=source,
            remedy="Give the name as in tfds.load, such as tfds:movielens/1m-ratings.",
        ) from error
    if builder.is_prepared():
        return builder
    archives = folder or cache_folder()
    try:
        with _no_download_without_network(archives), redirect_stdout(sys.stderr):  # it prints what it does
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=archives))
    except InputError:
        raise
    except Exception as error:  # whatever a builder's own code raises
        raise InputError(
            f"TFDS cannot prepare it in {builder.data_path} ({error})", path=source, remedy="See the cause above."
        ) from error
    return builder


@contextmanager
def _no_download_without_network(archives: AnyPath) -> Iterator[None]:
    """Has TFDS, which tries a dead network for minutes, ask first whether a file can be downloaded.

    Its download manager comes to `_download` only for what is neither in its cache nor in the folder of archives.
    """
    manager = tfds.download.DownloadManager
    download = manager._download

    def ask_first(self: tfds.download.DownloadManager, resource: tfds.download.Resource) -> object:
        file = resource.url.rsplit("/", 1)[-1]
        require_reachable(resource.url, f"Put {file} or the prepared set into {archives} (or set `data_dir`).")
        return download(self, resource)

    manager._download = ask_first
    try:
        yield
    finally:
        manager._download = download


def _leaves(features: Mapping, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Path (`data/user`) and feature of each scalar."""
    for name, feature in features.items():
        if isinstance(feature, tfds.features.FeaturesDict):
            yield from _leaves(feature, f"{prefix}{name}/")
        elif feature.shape == ():
            yield prefix + name, feature


def _recognise(features: Mapping[str, object], config: DataConfig, source: str) -> dict[str, str]:
    """For each column setting, the path of the feature that it or its usual names stand for, where there is one."""
    paths = {}
    for setting, (_, usual) in _COLUMNS.items():
        default = DEFAULT_COLUMNS.get(setting, "")
        given = getattr(config, setting) or default
        by_name = {path.rsplit("/", 1)[-1].lower(): path for path in reversed(features)}
        path = given if given in features else next((by_name[name] for name in usual if name in by_name), None)
        chosen = given != default
        if (chosen and path != given) or (path is None and setting in ("user_column", "item_column")):
            raise InputError(
                f"no feature {given!r} for `{setting}` among {sorted(features)}",
                path=source,
                remedy=f"Set `{setting}` to one of them, or choose a set of ratings.",
            )
        if path is not None:
            paths[setting] = path
    return paths


def _columns(
    builder: tfds.core.DatasetBuilder, paths: Mapping[str, str], source: str
) -> dict[str, np.ndarray | pa.DictionaryArray]:
    """Column setting -> the values of its feature, in the order of the files."""
    wanted: dict = {}
    for path in paths.values():
        *parents, leaf = path.split("/")
        inner = wanted
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = True
    decoders = tfds.decode.PartialDecoding(wanted)
    chunks: dict[str, list[pa.Array]] = {setting: [] for setting in paths}
    try:
        rows = builder.as_dataset(split="all", batch_size=_BATCH_ROWS, shuffle_files=False, decoders=decoders)
        for batch in tfds.as_numpy(rows):
            for setting, path in paths.items():
                chunks[setting].append(pa.array(reduce(operator.getitem, path.split("/"), batch)))
    except (tf.errors.OpError, OSError) as error:
        raise InputError(
            f"damaged ({error.args[-1]})", path=builder.data_path, remedy="Delete the folder to have it prepared again."
        ) from error
    if not chunks["user_column"]:
        raise InputError("empty: there are no rows", path=source)
    return {
        setting: convert(pa.chunked_array(chunks[setting]), _COLUMNS[setting][0], paths[setting], source)
        for setting in paths
    }
