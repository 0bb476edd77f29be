"""Leads an ingestion: what is done in which order, and what is decided in between."""

import dataclasses
from collections.abc import Sequence

from pipelines.atomic import made
from pipelines.config import DataConfig
from pipelines.errors import InputError, naming
from pipelines.infer import infer
from pipelines.ingest.beam import Progress, Stages, check_options, no_progress
from pipelines.ingest.config import IngestConfig
from pipelines.ingest.folder import close_work, open_work, settings_of, source_of
from pipelines.ingest.job import Job
from pipelines.ingest.planted import ingest_planted
from pipelines.ingest.sources import Origin, of_ratings, of_table
from pipelines.ingest.stream import ingest_rows, shards_for
from pipelines.ingested import Manifest, save_shards
from pipelines.load import IN_MEMORY, check_settings, check_splittable
from pipelines.paths import as_path, is_within
from pipelines.readers import planted_large, reader
from pipelines.readers.files import reading
from pipelines.split import Split


def ingest(
    data: DataConfig,
    config: IngestConfig,
    beam_arguments: Sequence[str] = (),
    progress: Progress = no_progress,
) -> Manifest:
    """Ingests a data set: makes the folder that `dataset`=ingested reads.

    Ids, order, split, evaluation negatives, what filters drop and the fingerprint are exactly those of
    `load_dataset(data)`, and so are the notices. What was broken off goes on where it was.

    Args:
      data: which data, and how it becomes a split.
      config: where to write it.
      beam_arguments: options of Apache Beam, as its command line has them, such as ["--runner=FlinkRunner"]. Without
        any its DirectRunner uses the cores of this machine.
      progress: makes the bar of a stage.

    Returns:
      What `ingested.json` says.

    Raises:
      InputError: the data or the folder cannot be used, or there is no Apache Beam, or no such option of it.
    """
    check_options(beam_arguments)
    if data.dataset == IN_MEMORY:
        raise InputError(f"`dataset`={IN_MEMORY} lies in no file", remedy="Save the Dataset by `ingested.save_shards`.")
    data = infer(data)
    module = reader(data.dataset)
    check_settings(data, module)
    folder, path = as_path(config.output_dir), as_path(data.data_dir) if data.data_dir else None
    if path is not None and is_within(folder, path):
        raise InputError(
            "lies within the data", path=folder, remedy="Set `output_dir` to a folder that is not in `data_dir`."
        )
    settings = settings_of(data, config.shards, source_of(path))
    with made(folder):
        work = open_work(folder, settings, overwrite=config.overwrite)
        job = Job(str(folder), str(work), data)
        stages = Stages(job, beam_arguments, progress)
        if data.dataset == planted_large.NAME:
            num_shards = shards_for(data.planted_users, config.shards)
            return _closed(job, ingest_planted(stages, num_shards))
        with reading(data.data_dir):
            if data.dataset == "table":
                check_splittable(data)
                found: Origin | Split = of_table(path, data)
            else:
                read = module.read(path, data)
                if isinstance(read, Split):
                    found = read
                else:
                    check_splittable(data)
                    stages.make("source")
                    found = of_ratings(read, job)
                del read
        if isinstance(found, Split):
            with progress("writing", 1) as bar:
                save_shards(found, folder, data, config.shards)
                bar.update(1)
            return _closed(job, Manifest.read(folder))
        stages.job = dataclasses.replace(job, num_buckets=found.num_buckets)
        with naming(found.source):
            return _closed(job, ingest_rows(found, stages, config.shards))


def _closed(job: Job, manifest: Manifest) -> Manifest:
    close_work(job.path())
    return manifest
