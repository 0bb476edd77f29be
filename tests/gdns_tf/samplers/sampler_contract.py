"""What every negative sampler must do, whatever it goes by: a mixin of tests with known answers."""

import functools
import gc
import inspect
import json
import tracemalloc
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import tensorflow as tf
from on_device import calls_of_host, without_kernel
from scipy.stats import chisquare

import gdns_tf
from gdns_tf.evaluation.baselines import popularity
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.models import stateless
from gdns_tf.models.losses import LOSSES, PAIRINGS
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.train import train
from gdns_tf.samplers.registry import SAMPLERS
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Interactions
from pipelines.load import load_dataset

NUM_ITEMS, GROUP_SIZE, NUM_CANDIDATES, BATCH_SIZE = 19, 4, 16, 8
SAVED_AT, EPOCHS = 5, 15
EAGER = type(tf.constant(0))


def two_tastes() -> Interactions:
    """20 users who like 5 of the first 9 items or 5 of the other 10; then one who has all but one, one all but two."""
    rng = np.random.default_rng(0)
    tastes = [np.arange(9), np.arange(9, NUM_ITEMS)]
    rows = [rng.choice(tastes[user % 2], 5, replace=False) for user in range(20)]
    rows += [np.delete(np.arange(NUM_ITEMS), left) for left in ([7], [3, 12])]
    return Interactions(
        offsets=np.cumsum([0, *map(len, rows)]),
        items=np.concatenate(rows).astype(np.int32),
        user_ids=np.arange(len(rows)),
        item_ids=np.arange(NUM_ITEMS),
    )


TRAIN = two_tastes()
STEPS = -(-TRAIN.num_users // BATCH_SIZE)
OBSERVED = np.zeros((TRAIN.num_users, NUM_ITEMS), bool)
OBSERVED[TRAIN.users, TRAIN.items] = True


def check_negatives(users, negatives, group_size=GROUP_SIZE):
    """Of the right shape and type, and unobserved by their users."""
    assert negatives.dtype == np.int32
    assert negatives.shape == (len(users), group_size)
    assert negatives.min() >= 0
    assert negatives.max() < NUM_ITEMS
    assert not OBSERVED[users[:, None], negatives].any()


_DRAWN = {}


def first_batches(config):
    """The batches of the first epochs: to make a pipeline takes longer than its steps, and most samplers draw alike."""
    setup, sampler = config.setup(TRAIN), config.sampler_class
    weights = sampler.item_weights(config.sampler_config, setup)
    drawn_alike = (
        *(config.seed, config.batch_size, config.group_size, sampler.num_candidates(config.sampler_config, setup)),
        None if weights is None else weights.tobytes(),
    )
    if drawn_alike not in _DRAWN:
        _DRAWN[drawn_alike] = list(build_batches(TRAIN, config).take(EPOCHS * STEPS))
    return _DRAWN[drawn_alike]


COMPILED = ("gdns", "enmf")
"""Samplers whose step the suite compiles: with a table of gains, and what refuses to be compiled."""
USUAL_SIZES = ((1, 16), (5, 5))
"""Of the sizes of groups and numbers of candidates, those that the suite tries."""


class Training:
    """A trainer whose steps tell which negatives they were taken with."""

    def __init__(self, config):
        self.trainer, self.config, first = build_trainer(TRAIN, config), config, first_batches(config)[0]
        trainer = self.trainer
        self.checkpoint = tf.train.Checkpoint(  # what `gdns_tf.runs.run.Run` saves of the training
            scorer=trainer.scorer, optimizer=trainer.optimizer, sampler=trainer.sampler
        )

        def step(data):
            # Once more before the step's own selection, which must choose the same.
            negatives = trainer.sampler.select(trainer.batch(data), trainer.scorer).negatives
            trainer.reset_metrics()
            return negatives, trainer.train_step(data)["loss"]

        # AutoGraph, which takes most of the time that it takes to trace, is for `test_a_whole_run`.
        spec = {name: tf.TensorSpec([None, *t.shape[1:]] if t.shape.rank else [], t.dtype) for name, t in first.items()}
        self.step = tf.function(step, [spec], autograph=False)

    def batches(self, first_epoch=0):
        if first_epoch:
            return iter(build_batches(TRAIN, self.config, first_epoch=first_epoch))
        return iter(first_batches(self.config))

    def epoch(self, batches):
        """Trains an epoch; returns ({user: negatives}, the mean loss)."""
        chosen, losses = {}, []
        for _ in range(STEPS):
            data = next(batches)
            negatives, loss = self.step(data)
            users, negatives = data["users"].numpy(), negatives.numpy()
            check_negatives(users, negatives)
            chosen |= zip(users.tolist(), negatives.tolist(), strict=True)
            losses.append(float(loss))
        return chosen, np.mean(losses)

    def contents(self, prefix):
        """All that a checkpoint holds, by name."""
        reader = tf.train.load_checkpoint(self.checkpoint.write(str(prefix)))
        names = [name for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name]
        return {name: reader.get_tensor(name) for name in names if "save_counter" not in name}


class Undisturbed:
    """A run from the start to the end, and what was to be seen on its way."""

    def __init__(self, config, folder):
        gc.freeze()  # else it is all looked through for the tensors that are kept, and takes seconds
        training = self.training = Training(config)
        self.folder, self.contents, tensors = folder, {}, {}
        self.negatives, self.losses = np.zeros([EPOCHS, TRAIN.num_users, GROUP_SIZE], np.int32), np.zeros(EPOCHS)
        self.save(0)
        batches = training.batches()
        for epoch in range(1, EPOCHS + 1):
            chosen, self.losses[epoch - 1] = training.epoch(batches)
            self.negatives[epoch - 1] = [chosen[user] for user in range(TRAIN.num_users)]
            if epoch in (SAVED_AT, EPOCHS):
                gc.collect()
                tensors[epoch] = sum(type(kept) is EAGER for kept in gc.get_objects())
                self.kept = kept_by_package()
                self.save(epoch)
        tracemalloc.stop()
        self.more_tensors = tensors[EPOCHS] - tensors[SAVED_AT]

    def save(self, epoch):
        self.contents[epoch] = self.training.contents(self.prefix(epoch))

    def prefix(self, epoch):
        return str(self.folder / f"epoch{epoch}")


def kept_by_package():
    """How many blocks of memory that code of the package came by since the last call are still held."""
    kept = 0
    if tracemalloc.is_tracing():
        package = Path(gdns_tf.__file__).parent
        of_package = tracemalloc.Filter(True, str(package / "*"), all_frames=True)
        of_others = tracemalloc.Filter(False, str(package / "server" / "*"), all_frames=True)  # of other tests, alive
        traces = tracemalloc.take_snapshot().filter_traces([of_package, of_others]).statistics("filename")
        kept = sum(trace.count for trace in traces)
        tracemalloc.stop()
    tracemalloc.start(10)
    return kept


def assert_same(contents, expected):
    assert contents.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(contents[name], value, err_msg=name)


def noting_seeds(draw, seeds):
    """`draw`, one of `tf.random.stateless_*`, which also puts its seed into the last of some sets."""

    @functools.wraps(draw)
    def noting(*args, **kwargs):
        seed = inspect.signature(draw).bind(*args, **kwargs).arguments["seed"]
        seeds[-1].add(tuple(np.asarray(seed).tolist()))
        return draw(*args, **kwargs)

    return noting


class SamplerContract:
    """Subclasses name a sampler, and may say more of it; `test_every_sampler` makes one for each that is registered."""

    sampler: str
    settings: Mapping = MappingProxyType({})
    """Further flags."""
    compiles = True
    """Whether a step can be compiled by XLA; if not, building refuses."""
    equal_if_compiled = True
    """Whether it then does the very same, but for rounding."""
    falls_to = 0.8
    """The loss of the last epoch is below this share of the first one's."""

    def expected_distribution(self, user: int) -> np.ndarray | None:
        """[num_items] probabilities of each negative of a user, in the first steps, if all scores are alike.

        None: a test of the sampler's own tells; its file must be there.
        """
        return ~OBSERVED[user] / (~OBSERVED[user]).sum()

    def comparable(self, variable: tf.Variable) -> np.ndarray:
        """The values of a variable, without what may differ in a compiled step."""
        return variable.numpy()

    @classmethod
    def config(cls, **changes) -> TrainConfig:
        settings = {
            "output_dir": "unused",
            "sampler": cls.sampler,
            "group_size": GROUP_SIZE,
            "num_candidates": NUM_CANDIDATES,
            "batch_size": BATCH_SIZE,
            "dim": 6,
            "init_scale": 0.3,
            "loss": "squared_hinge",
            "l2": 0.01,
            "dropout": 0.1,
            "user_weight_power": 0.0,
            "average_decay": 0.0,
            "uniform_epochs": 0,
        }
        # Settings of some samplers; the defaults are for larger data.
        own = {"memory_size": 8, "top_candidates": 8, "warmup_epochs": 3}
        known = {field.name for field in fields(SAMPLERS[cls.sampler].config_class)}
        changes = {name: value for name, value in (own | changes).items() if name in known or name not in own}
        return TrainConfig.from_settings(**(settings | cls.settings | changes))

    @pytest.fixture(scope="class")
    @classmethod
    def undisturbed(cls, tmp_path_factory):
        return Undisturbed(cls.config(), tmp_path_factory.mktemp(cls.sampler))

    @pytest.fixture(scope="class")
    @classmethod
    def another(cls, undisturbed, tmp_path_factory):
        """A training with the same flags. Tests restore what they need into it."""
        another = Training(cls.config())
        assert_same(another.contents(tmp_path_factory.mktemp("another") / "start"), undisturbed.contents[0])
        return another

    def test_negatives_of_users_with_hardly_an_unobserved_item(self, undisturbed):
        # That no negative of anybody was an observed item has been checked in every step.
        assert (undisturbed.negatives[:, 20] == 7).all()
        assert set(undisturbed.negatives[:, 21].ravel()) == {3, 12}

    def test_training_lowers_the_loss(self, undisturbed):
        assert np.isfinite(undisturbed.losses).all()
        assert undisturbed.losses[-1] < self.falls_to * undisturbed.losses[0], undisturbed.losses
        for values in undisturbed.contents[EPOCHS].values():
            assert values.dtype.kind != "f" or np.isfinite(values).all()

    def test_nothing_grows(self, undisturbed):
        shapes = [{name: v.shape for name, v in undisturbed.contents[epoch].items()} for epoch in (0, EPOCHS)]
        assert shapes[0] == shapes[1]
        assert undisturbed.training.step.experimental_get_tracing_count() == 1
        # What is kept in every step would be three an epoch.
        assert undisturbed.kept < EPOCHS - SAVED_AT
        assert undisturbed.more_tensors < EPOCHS - SAVED_AT

    def test_a_resumed_run_ends_as_the_undisturbed_one(self, undisturbed, another, tmp_path):
        another.checkpoint.read(undisturbed.prefix(SAVED_AT)).assert_consumed()
        batches = another.batches(first_epoch=SAVED_AT)
        for epoch in range(SAVED_AT, EPOCHS):
            chosen, loss = another.epoch(batches)
            assert [chosen[user] for user in range(TRAIN.num_users)] == undisturbed.negatives[epoch].tolist()
            assert loss == undisturbed.losses[epoch]
        assert_same(another.contents(tmp_path / "end"), undisturbed.contents[EPOCHS])

    def test_the_same_seed_gives_the_same_run(self, undisturbed, another, tmp_path):
        another.checkpoint.read(undisturbed.prefix(0)).assert_consumed()
        batches = another.batches()
        for epoch in range(SAVED_AT):
            chosen, _ = another.epoch(batches)
            assert [chosen[user] for user in range(TRAIN.num_users)] == undisturbed.negatives[epoch].tolist()
        assert_same(another.contents(tmp_path / "end"), undisturbed.contents[SAVED_AT])

    def test_another_seed_gives_other_negatives(self, undisturbed):
        trainer = build_trainer(TRAIN, self.config(seed=1))
        chosen = {}
        for data in first_batches(self.config(seed=1))[:STEPS]:
            negatives = trainer.sampler.select(trainer.batch(data), trainer.scorer).negatives
            chosen |= zip(data["users"].numpy().tolist(), negatives.numpy().tolist(), strict=True)
        assert [chosen[user] for user in range(20)] != undisturbed.negatives[0, :20].tolist()

    def test_every_step_draws_from_seeds_of_its_own(self, undisturbed, another, monkeypatch):
        another.checkpoint.read(undisturbed.prefix(SAVED_AT)).assert_consumed()
        data, seeds = first_batches(self.config())[SAVED_AT * STEPS], []
        for name in ("uniform", "normal", "truncated_normal", "gamma", "binomial", "poisson", "categorical"):
            name = f"stateless_{name}"
            monkeypatch.setattr(tf.random, name, noting_seeds(getattr(tf.random, name), seeds))
        for step in (15, 16):
            seeds.append(set())
            another.trainer.reset_metrics()
            another.trainer.train_step(data | {"step": tf.constant(step, tf.int64)})
        assert len(seeds[0]) == len(seeds[1])
        assert not seeds[0] & seeds[1]

    def test_looking_changes_nothing(self, undisturbed, tmp_path):
        training = undisturbed.training
        trainer = training.trainer
        before = training.contents(tmp_path / "before")
        for data in first_batches(self.config())[:2]:
            batch = trainer.batch(data)
            negatives = [trainer.sampler.select(batch, trainer.scorer).negatives.numpy() for _ in range(2)]
            np.testing.assert_array_equal(*negatives)
            for name, value in trainer.sampler.diagnostics(batch).items():
                assert value.shape == (), name
                assert np.isfinite(value), name
            for name, values in trainer.sampler.distributions(batch.users).items():
                assert np.isfinite(values).all(), name
        assert_same(training.contents(tmp_path / "after"), before)

    def test_its_variables_are_no_weights_of_the_model(self, undisturbed):
        trainer = undisturbed.training.trainer
        own = {id(variable) for variable in trainer.sampler.variables}
        assert not own & {id(variable) for variable in trainer.variables}
        assert [tuple(v.shape) for v in trainer.trainable_variables] == [(TRAIN.num_users, 6), (NUM_ITEMS, 6), (6,)]

    @pytest.mark.parametrize(("group_size", "num_candidates"), [(1, 16), (1, 1), (5, 5), (5, 18)])
    def test_group_sizes(self, group_size, num_candidates, request):
        if (group_size, num_candidates) not in USUAL_SIZES and not request.config.getoption("--exhaustive"):
            pytest.skip("a group of one, and one of all candidates; `pytest --exhaustive -k group_sizes` tries more")
        config = self.config(
            group_size=group_size, num_candidates=num_candidates, top_candidates=min(8, num_candidates)
        )
        trainer = build_trainer(TRAIN, config)
        for data in first_batches(config)[:STEPS]:
            selection = trainer.sampler.select(trainer.batch(data), trainer.scorer)
            check_negatives(data["users"].numpy(), selection.negatives.numpy(), group_size)
        assert len(data["users"]) < BATCH_SIZE
        assert np.isfinite(trainer.train_step(data)["loss"])

    def test_losses_and_pairings(self, undisturbed, another):
        another.checkpoint.read(undisturbed.prefix(SAVED_AT)).assert_consumed()
        trainer, former = another.trainer, another.trainer.ranking_loss
        data = first_batches(self.config())[SAVED_AT * STEPS]
        try:
            for loss in LOSSES:
                for pairing in PAIRINGS:
                    trainer.ranking_loss = LOSSES[loss](0.5, pairing)
                    trainer.reset_metrics()
                    assert np.isfinite(trainer.train_step(data)["loss"]), (loss, pairing)
        finally:
            trainer.ranking_loss = former
        assert all(np.isfinite(v).all() for v in trainer.trainable_variables)

    def test_negatives_follow_the_distribution(self):
        if self.expected_distribution(0) is None:
            name = f"test_{self.sampler}.py"
            assert Path(__file__).with_name(name).exists(), f"neither expected_distribution nor {name}"
            pytest.skip(f"its distribution is tested in {name}")
        sizes = {"group_size": 32, "top_candidates": 48, "memory_size": 64, "num_candidates": 64}
        config = self.config(**sizes, batch_size=TRAIN.num_users)
        trainer = build_trainer(TRAIN, config)
        trainer.scorer.P.assign(tf.zeros_like(trainer.scorer.P))

        @tf.function(autograph=False)
        def select(data):
            return trainer.sampler.select(trainer.batch(data), trainer.scorer).negatives

        counts = np.zeros(OBSERVED.shape)
        for data in first_batches(config)[:40]:
            np.add.at(counts, (data["users"].numpy()[:, None], select(data).numpy()), 1)
        for user in range(TRAIN.num_users):
            expected = self.expected_distribution(user)
            pool = expected > 0
            assert not counts[user, ~pool].any()
            if pool.sum() > 1:
                assert chisquare(counts[user, pool], expected[pool] * 40 * 32).pvalue > 1e-4, user

    def test_a_compiled_step_equals_the_plain_one(self, request):
        if self.sampler not in COMPILED and not request.config.getoption("--exhaustive"):
            pytest.skip("XLA takes seconds for each sampler; `pytest --exhaustive -k compiled` tries all")
        if not self.compiles:
            with pytest.raises(InputError, match="`jit_compile`"):
                build_trainer(TRAIN, self.config(jit_compile=True))
            return
        config = self.config(jit_compile=True)
        plain, compiled = build_trainer(TRAIN, self.config(jit_compile=False)), build_trainer(TRAIN, config)

        @tf.function(jit_compile=True, autograph=False)
        def step(data):
            with stateless.for_xla():
                negatives = compiled.sampler.select(compiled.batch(data), compiled.scorer).negatives
            return negatives, compiled.train_step(data)["loss"]

        for data in first_batches(config)[:2]:
            (negatives, loss), expected = step(data), plain.train_step(data)["loss"]
            check_negatives(data["users"].numpy(), negatives.numpy())
            np.testing.assert_allclose(loss, expected, rtol=1e-5 if self.equal_if_compiled else 0.2)
        assert not calls_of_host(step.experimental_get_compiler_ir(data)(stage="hlo"))
        if tf.test.is_built_with_cuda():
            assert not without_kernel(step.get_concrete_function(data), "XLA_GPU_JIT")
        if self.equal_if_compiled:
            ours, theirs = ([*t.trainable_variables, *t.sampler.variables] for t in (compiled, plain))
            for our, their in zip(ours, theirs, strict=True):
                our_values, their_values = self.comparable(our), self.comparable(their)
                np.testing.assert_allclose(our_values, their_values, rtol=1e-4, atol=1e-5, err_msg=their.name)

    def test_a_whole_run_with_nothing_but_the_sampler_set_beats_popularity(self, tmp_path):
        data = DataConfig(planted_users=200, planted_items=160)
        folder, split = RunFolder(tmp_path / "run"), load_dataset(data)
        run = {"output_dir": str(folder.path), "max_epochs": 16, "eval_every": 8}
        train(split, data, TrainConfig.from_settings(sampler=self.sampler, **run), progress=False)
        metrics = json.loads(folder.metrics.read_text())
        assert metrics["epochs"] == 16
        of_popularity = evaluate(popularity(split.train), split, split="valid", ks=(3,)).means()["ndcg@3"]
        assert metrics["valid"]["ndcg@3"] > 2 * of_popularity
        assert 0 < metrics["test"]["mrr"] <= 1
        assert len(folder.history.read_text().splitlines()) == 3
        assert list(folder.checkpoints.glob("*.index"))
        assert list(folder.tensorboard.glob("events*"))
