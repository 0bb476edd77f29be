"""What is compiled, where, and what of a step would leave a GPU. That of compiled steps: the contract of samplers."""

import pytest
import tensorflow as tf
from on_device import calls_of_host, without_kernel
from toy import toy_interactions

from gdns_tf.flags import read_config, replayable
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig

TRAIN = toy_interactions()
HISTORIES = [
    {"scorer": "history", "sampler": "gdns"},
    {"scorer": "gmf", "sampler": "enmf"},
    {"scorer": "gmf", "objective": "multinomial"},
    {"scorer": "history", "objective": "sampled_softmax"},
]


@pytest.fixture
def gpu(monkeypatch):
    """A machine that seems to have a GPU."""
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["GPU:0"])


def test_unasked_what_compiles_is_compiled_on_a_gpu(gpu):
    assert TrainConfig.from_settings(sampler="gdns").compiled
    assert not TrainConfig.from_settings(sampler="gdns", jit_compile=False).compiled
    for settings in HISTORIES:
        assert not TrainConfig.from_settings(**settings).compiled


def test_unasked_nothing_is_compiled_without_a_gpu(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
    assert not TrainConfig.from_settings(sampler="gdns").compiled
    assert TrainConfig.from_settings(sampler="gdns", jit_compile=True).compiled


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        *[("--jit_compile", True), ("--jit_compile=true", True), ("--jit_compile=1", True)],
        *[("--nojit_compile", False), ("--jit_compile=false", False), ("--jit_compile=auto", None), ("", None)],
    ],
)
def test_flags_of_former_runs_are_read_as_they_were(flag, value, tmp_path):
    (path := tmp_path / "flags").write_text(f"--sampler=gdns\n{flag}\n")
    config = read_config(path, TrainConfig)
    assert config.jit_compile is value
    path.write_text(replayable([config]))
    assert read_config(path, TrainConfig) == config


def test_a_run_goes_on_compiled_or_not():
    config = TrainConfig.from_settings(sampler="gdns", jit_compile=True)
    assert not config.changes(config.with_settings(jit_compile=None))


@pytest.mark.skipif(not tf.test.is_built_with_cuda(), reason="registers no kernels of GPUs")
@pytest.mark.parametrize("settings", HISTORIES)
def test_of_steps_that_do_not_compile_the_gathering_of_histories_alone_leaves_a_gpu(settings, gpu):
    config = TrainConfig.from_settings(**settings, dim=4, batch_size=8)
    trainer = build_trainer(TRAIN, config)
    step = tf.function(trainer.train_step, autograph=False)
    data = next(iter(build_batches(TRAIN, config)))
    assert without_kernel(step.get_concrete_function(data), "GPU") == {"RaggedGather"}


def test_talk_with_the_host_is_found_in_hlo():
    hlo = """
    %add.1 = f32[2]{0} add(f32[2]{0} %p, f32[2]{0} %p)
    %t = (f32[2]{0}, u32[], token[]) send(f32[2]{0} %add.1, token[] %after), channel_id=1, is_host_transfer=true
    ROOT %c = f32[2]{0} custom-call(f32[2]{0} %add.1), custom_call_target="xla_python_gpu_callback"
    """
    assert calls_of_host(hlo) == {"send", "xla_python_gpu_callback"}
