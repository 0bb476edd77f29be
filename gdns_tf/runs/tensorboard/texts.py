"""The Text tab: how to repeat a run, its data, all its settings."""

from collections.abc import Mapping

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.text.summary_v2 import text_pb

from gdns_tf.markdown import table
from gdns_tf.runs.repeating import as_call, as_command
from gdns_tf.runs.tensorboard import tags
from gdns_tf.runs.tensorboard.projector import MOST_ITEMS
from gdns_tf.samplers.given import PREFIX
from gdns_tf.training.config import TrainConfig
from pipelines.load import format_statistics
from pipelines.split import Split


def text_summaries(split: Split, config: TrainConfig, flags: str, popularity: Mapping[str, float]) -> list[Summary]:
    """What is to be read of a run.

    Args:
      split: its data.
      config: its settings.
      flags: its `flags.txt`.
      popularity: what a list of the most popular items comes to on validation.
    """
    return [
        text_pb("run/1_how_to_repeat", _repeating(config)),
        text_pb("run/2_data", _data(split, popularity)),
        text_pb("run/3_flags", f"All settings, `flags.txt` of the run's folder:\n\n{_verbatim(flags)}"),
    ]


def _repeating(config: TrainConfig) -> str:
    call = "In Python, `data` being the same:\n\n" + _verbatim(as_call(config, separator=",\n    "))
    if config.sampler.startswith(PREFIX):
        return f"{call}\n\nIts sampler was given as an object, which no command line can name."
    return f"On the command line:\n\n{_verbatim(as_command(config.output_dir))}\n\n{call}"


def _data(split: Split, popularity: Mapping[str, float]) -> str:
    parts = [_verbatim(format_statistics(split))]
    if popularity:
        rows = [[tags.title(name), f"{popularity[name]:.4f}"] for name in tags.shown(popularity, "")]
        parts += ["What a list of the most popular items has on validation:", table(["metric", "popularity"], rows)]
    if split.train.num_items > MOST_ITEMS:
        parts.append(f"The Projector shows the {MOST_ITEMS:,} most popular of the {split.train.num_items:,} items.")
    return "\n\n".join(parts)


def _verbatim(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
