"""Turns data of any size into sharded TFRecords, a user a record, with Apache Beam; training reads them as they come.

    python -m pipelines.ingest --dataset=table --data_dir=clicks/ --output_dir=data/clicks
    python -m gdns_tf.train --dataset=ingested --data_dir=data/clicks --output_dir=runs/clicks

Ids, order, split and evaluation negatives are those of the same flags given to gdns_tf.train; where the data fits into
memory there is no need for it. The same command goes on with what was broken off.

All other flags are those of Apache Beam, such as --runner=FlinkRunner --flink_master=HOST:PORT, or
--runner=DataflowRunner --project=... --region=... --temp_location=gs://...; workers need this package, and must reach
--output_dir. Without --runner the cores of this machine do the work (--direct_num_workers, --direct_running_mode).
"""

from gdns_tf.command import Read, run_command
from gdns_tf.progress_bar import progress_bar
from gdns_tf.runs.lock import locked
from pipelines.config import DataConfig
from pipelines.ingest.beam import Bar, check_options
from pipelines.ingest.config import IngestConfig
from pipelines.ingest.run import ingest
from pipelines.load import format_statistics, load_dataset
from pipelines.paths import as_path


def main(read: Read) -> None:
    config = read(IngestConfig)
    folder = as_path(config.output_dir)
    with locked(folder):
        ingest(read(DataConfig), config, read.others, _bar)
    ingested = DataConfig(dataset="ingested", data_dir=config.output_dir)
    print(format_statistics(load_dataset(ingested)), flush=True)
    print(f"The data set is in {folder}: --dataset=ingested --data_dir={folder}")


def _bar(title: str, total: int) -> Bar:
    return progress_bar(desc=title, total=total, unit="task")


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [IngestConfig, DataConfig], check_others=check_options)


if __name__ == "__main__":
    run()
