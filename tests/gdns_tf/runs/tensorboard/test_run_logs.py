"""What a run writes, read back by TensorBoard's own readers and as its tabs ask for it."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorboard import context
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.custom_scalar.custom_scalars_plugin import CustomScalarsPlugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups
from tensorboard.util import tensor_util

from gdns_tf.evaluation.baselines import popularity
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.models.factors import Factors
from gdns_tf.runs.callbacks import Validation
from gdns_tf.runs.history import read_history
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.tensorboard.callback import TensorBoard
from gdns_tf.runs.tensorboard.finished import write_kept, write_log
from gdns_tf.runs.tensorboard.hparams import row_of
from gdns_tf.runs.train import train
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.load import load_dataset

DATA = DataConfig(planted_users=120, planted_items=150)
SPLIT = load_dataset(DATA)
TEXTS = ("run/1_how_to_repeat", "run/2_data", "run/3_flags")
SETTINGS = {"dim": 8, "learning_rate": 0.5, "schedule": "constant", "user_l2": 0.0, "average_decay": 0.0}
"""By which a run is best after two epochs, and not after four."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A real run, whose weights are chosen by a metric of their own."""
    config = TrainConfig.from_settings(**SETTINGS, max_epochs=4, eval_every=2, select="full_ndcg@20")
    config = replace(config, output_dir=str(tmp_path_factory.mktemp("runs") / "trained"))
    train(SPLIT, DATA, config, progress=False)
    return RunFolder(config.output_dir), config


@pytest.fixture
def sampled(tmp_path):
    """What a callback sees of a run with a sampler that has not begun."""
    config = TrainConfig.from_settings(sampler="gdns", output_dir=str(tmp_path / "sampled"), dim=2, l2=0.5)
    folder = RunFolder.open(DATA, config)
    folder.claim(DATA, config)
    factors = Factors(np.ones((SPLIT.train.num_users, 2)), np.ones((SPLIT.train.num_items, 2)), np.ones(2))
    level = {"ndcg@3": 0.125, "recall@3": 0.25}
    return SimpleNamespace(split=SPLIT, config=config, folder=folder, epoch=0, popularity=level, best=factors)


def process(run, epochs, *, killed=False):
    """Logs some epochs, with a validation after every second, as one process does."""
    look = TensorBoard()
    look.on_start(run)
    for epoch in epochs:
        run.epoch = epoch
        look.on_epoch(run, 1 / epoch)
        if epoch % 2 == 0:
            metrics = {"ndcg@3": epoch / 64, "recall@3": epoch / 32, "hr@3": epoch / 32, "mrr": 0.5}
            diagnostics = {"g_chosen": 0.5, "g_passed_over": 0.25, "active_pairs": 1.0}
            histograms = {"G": tf.constant([0.25, 0.75])}
            look.on_validation(run, Validation(epoch, 1.0, 1 / epoch, metrics, 0.5, diagnostics, histograms))
    if not killed:
        look.on_end(run)
    look.close()


def read(folder):
    """All events of a run."""
    return EventAccumulator(str(folder.tensorboard), tensor_size_guidance={"tensors": 0}).Reload()


def scalars(folder):
    """Tag -> [(step, value)]."""
    events = read(folder)
    tags = events.PluginTagToContent("scalars")
    return {
        tag: [(e.step, float(tensor_util.make_ndarray(e.tensor_proto))) for e in events.Tensors(tag)] for tag in tags
    }


def tabs(root):
    """What the tabs ask for data."""
    multiplexer = EventMultiplexer(tensor_size_guidance={"tensors": 0}).AddRunsFromDirectory(str(root))
    multiplexer.Reload()
    return TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(root)))


def rows(root):
    """The table of the HParams tab: name of the row -> (settings, figures by the titles of their columns)."""
    plugin, call = backend_context.Context(tabs(root)), context.RequestContext()
    request = api_pb2.ListSessionGroupsRequest(slice_size=100, aggregation_type=api_pb2.AGGREGATION_AVG)
    request.allowed_statuses.extend(api_pb2.Status.values())
    groups = list_session_groups.Handler(call, plugin, "", request).run().session_groups
    columns = plugin.experiment_from_metadata(call, "", True, plugin.hparams_metadata(call, ""), None).metric_infos
    titles = {info.name.tag: info.display_name for info in columns}
    return {
        group.name: (
            {name: value.string_value or value.number_value for name, value in group.hparams.items()},
            {titles[found.name.tag]: found.value for found in group.metric_values},
        )
        for group in groups
    }


def charts(root):
    """Of the Custom Scalars tab: title -> patterns of tags."""
    layout = json.loads(CustomScalarsPlugin(tabs(root)).layout_impl(context.RequestContext(), ""))
    return {c["title"]: c["multiline"]["tag"] for category in layout["category"] for c in category["chart"]}


def test_hparams_has_the_figures_of_the_weights_that_were_kept(trained):
    folder, _ = trained
    ((name, (settings, found)),) = rows(folder.path).items()
    metrics, history = folder.read_metrics(), read_history(folder.history)
    assert metrics["best_epoch"] < metrics["epochs"]
    assert history["full_ndcg@20"][-1] < 0.99 * metrics["valid"]["full_ndcg@20"]  # not the last epoch's
    for held_out in ("valid", "test"):
        for metric, title in (("full_ndcg@20", "full NDCG@20"), ("ndcg@3", "NDCG@3"), ("recall@10", "Recall@10")):
            assert found[f"{held_out} {title}"] == pytest.approx(metrics[held_out][metric], rel=1e-6)
    assert found["epoch kept"] == metrics["best_epoch"]
    assert found["seconds"] == pytest.approx(metrics["seconds"], rel=1e-6)
    level = evaluate(popularity(SPLIT.train), SPLIT, "valid", "full", ks=[20]).means()["ndcg@20"]
    assert found["popularity's valid full NDCG@20"] == pytest.approx(level, rel=1e-6)
    assert re.fullmatch("trained [0-9a-f]{4}", name)
    assert settings["learning_rate"] == 0.5
    assert not {"sampler", "group_size", "l2"} & settings.keys()  # which mean nothing to it
    others = "average_decay=0.0, schedule=constant, max_epochs=4, eval_every=2, select=full_ndcg@20"
    assert settings["other settings"] == others


def test_curves_are_the_history_and_popularity_is_level(trained):
    folder, _ = trained
    history, found = read_history(folder.history), scalars(folder)
    for metric in ("ndcg@1", "ndcg@3", "ndcg@10", "recall@3", "recall@10", "full_ndcg@20"):
        steps, values = zip(*found[f"curves/valid_{metric}"], strict=True)
        assert list(steps) == history["epoch"].tolist() == [2, 4]
        assert values == pytest.approx(history[metric], rel=1e-5)
        protocol, bare = ("full", metric.removeprefix("full_")) if metric.startswith("full_") else ("sampled", metric)
        level = evaluate(popularity(SPLIT.train), SPLIT, "valid", protocol, ks=[1, 3, 10, 20]).means()[bare]
        assert [value for _, value in found[f"popularity/valid_{metric}"]] == pytest.approx([level] * 2)
    losses = dict(found["curves/train_loss"])
    assert sorted(losses) == [1, 2, 3, 4]
    assert [losses[epoch] for epoch in history["epoch"]] == pytest.approx(history["loss"], rel=1e-5)


def test_the_same_command_on_a_finished_run_adds_nothing(trained):
    folder, config = trained
    before = scalars(folder)
    train(SPLIT, DATA, config, progress=False)
    assert scalars(folder) == before
    assert len(rows(folder.path)) == 1


def test_a_log_that_is_written_afterwards_shows_the_same(trained, tmp_path):
    folder, config = trained
    after, history = RunFolder(tmp_path / "trained"), read_history(folder.history)
    for _ in range(2):  # broken off and done again
        write_log(after, row_of(SPLIT.name, config), folder.read_metrics(), history, config.select)
    found, live = scalars(after), scalars(folder)
    for tag in (tag for tag in live if tag.startswith(("curves/valid", "popularity/", "weights_kept/"))):
        assert found[tag] == [(step, pytest.approx(value, rel=1e-5)) for step, value in live[tag]]
    assert [step for step, _ in found["curves/train_loss"]] == history["epoch"].tolist()
    ((settings, _),) = rows(tmp_path).values()
    assert settings == next(iter(rows(folder.path).values()))[0]
    assert all(sum(bool(re.match(p, tag)) for tag in found) == 1 for of in charts(tmp_path).values() for p in of)


def test_the_layout_has_every_curve_and_names_nothing_else(sampled):
    process(sampled, range(1, 5))
    known, drawn = scalars(sampled.folder), set()
    for patterns in charts(sampled.folder.path).values():
        for pattern in patterns:
            (tag,) = [tag for tag in known if re.match(pattern, tag)]
            drawn.add(tag)
    assert drawn == known.keys()
    found = charts(sampled.folder.path)
    assert next(iter(found.values())) == [r"^curves/valid_ndcg@3$", r"^popularity/valid_ndcg@3$"]
    assert found["g"] == [r"^sampler/g_chosen$", r"^sampler/g_passed_over$"]
    assert found["active pairs"] == [r"^sampler/active_pairs$"]


def test_scalars_come_in_the_order_of_a_look(sampled):
    process(sampled, range(1, 3))
    write_kept(sampled.folder, {"best_epoch": 2, "epochs": 2, "seconds": 1.0, "valid": {"ndcg@3": 0.5}}, "ndcg@3")
    groups = list(dict.fromkeys(tag.split("/")[0] for tag in sorted(scalars(sampled.folder))))
    assert groups == ["curves", "popularity", "sampler", "weights_kept"]


def test_runs_of_one_name_have_a_row_each(tmp_path):
    for parent, dim in (("a", 2), ("b", 4)):
        figures = {"best_epoch": 1, "epochs": 1, "seconds": 1.0, "valid": {"ndcg@3": dim / 8}}
        write_log(RunFolder(tmp_path / parent / "run"), {"dim": dim}, figures, {}, "ndcg@3")
    assert sorted((settings["dim"], found["valid NDCG@3"]) for settings, found in rows(tmp_path).values()) == [
        (2, 0.25),
        (4, 0.5),
    ]


def test_the_text_tab_tells_of_run_and_data(sampled):
    process(sampled, [])
    events = read(sampled.folder)
    repeat, data, flags = (
        tensor_util.make_ndarray(events.Tensors(tag)[0].tensor_proto).item().decode() for tag in TEXTS
    )
    assert f"--flagfile={sampled.folder.flags}" in repeat
    assert "l2=0.5" in repeat
    assert SPLIT.fingerprint in data
    assert "| NDCG@3 | 0.1250 |" in data
    assert flags.count("--") == sampled.folder.flags.read_text().count("--")


@pytest.mark.parametrize("checkpoint", [0, 3])
def test_a_run_that_was_killed_is_not_logged_twice(sampled, checkpoint):
    process(sampled, range(1, 4), killed=checkpoint == 0)
    process(sampled, range(4, 7), killed=True)
    assert scalars(sampled.folder)["curves/train_loss"][-1][0] == 6
    sampled.epoch = checkpoint
    process(sampled, range(checkpoint + 1, 9))
    found = scalars(sampled.folder)
    assert found["curves/train_loss"] == [(epoch, pytest.approx(1 / epoch)) for epoch in range(1, 9)]
    for tag in ("curves/valid_ndcg@3", "popularity/valid_ndcg@3", "sampler/g_chosen"):
        assert [step for step, _ in found[tag]] == [2, 4, 6, 8], tag
    events = read(sampled.folder)
    assert [event.step for event in events.Tensors("sampler/G")] == [2, 4, 6, 8]
    assert [len(events.Tensors(tag)) for tag in TEXTS] == [1, 1, 1]


def test_a_run_that_goes_on_with_logs_from_its_middle_has_its_settings_too(sampled):
    sampled.epoch = 4
    process(sampled, [5, 6])
    ((settings, _),) = rows(sampled.folder.path).values()
    assert settings["l2"] == 0.5
