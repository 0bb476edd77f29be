"""Odd values of every setting are refused by its name, or make a config that its flags reproduce.

Few in the suite; `HYPOTHESIS_PROFILE=long` tries every odd value of every setting, and thousands that Hypothesis draws.
"""

import ast
import itertools
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from absl import flags as absl_flags
from hypothesis import given
from hypothesis import strategies as st

from gdns_tf.benchmarks.big_run import BigRunConfig
from gdns_tf.benchmarks.cost_curves import CostCurvesConfig
from gdns_tf.benchmarks.profile import ProfileConfig
from gdns_tf.benchmarks.requests import RequestsBenchConfig
from gdns_tf.benchmarks.retrieval import RetrievalBenchConfig
from gdns_tf.benchmarks.serving import ServingBenchConfig
from gdns_tf.benchmarks.soak import SoakConfig
from gdns_tf.benchmarks.training import BenchConfig
from gdns_tf.evaluate import EvaluateConfig
from gdns_tf.examples.own_sampler import PopularFirstConfig
from gdns_tf.examples.tfrs_two_tower import ExampleConfig
from gdns_tf.export import ExportConfig
from gdns_tf.flags import define, from_flags, read_config, replayable
from gdns_tf.models.registry import SCORERS
from gdns_tf.recommend import RecommendConfig
from gdns_tf.samplers.registry import SAMPLERS
from gdns_tf.serve import ServeConfig
from gdns_tf.serving_files import ServingFilesConfig
from gdns_tf.studies.config import StudyConfig
from gdns_tf.studies.fold_in import FoldInBenchConfig
from gdns_tf.studies.warm_start import WarmStartStudyConfig
from gdns_tf.training.config import TrainConfig
from gdns_tf.tuning.config import TuneConfig
from pipelines.checks import Settings
from pipelines.config import DataConfig
from pipelines.errors import InputError, shown
from pipelines.ingest.config import IngestConfig

ROOT = Path(__file__).parents[2]
BASES = [
    DataConfig(),
    TrainConfig(),
    TrainConfig.from_settings(),
    TuneConfig(),
    StudyConfig(study_dir="s"),
    ExportConfig(run_dir="r"),
    EvaluateConfig(run_dir="r"),
    RecommendConfig(user=("1",)),
    ServeConfig(),
    ServingFilesConfig(to="t"),
    FoldInBenchConfig(),
    WarmStartStudyConfig(),
    BenchConfig(),
    BigRunConfig(output_dir="o"),
    ProfileConfig(),
    IngestConfig(output_dir="o"),
    CostCurvesConfig(output_dir="o"),
    ServingBenchConfig(),
    SoakConfig(),
    RequestsBenchConfig(),
    RetrievalBenchConfig(),
    ExampleConfig(),
    PopularFirstConfig(),
]
"""Of every settings dataclass one that is good; those of samplers and scorers are parts of `TrainConfig`."""
PARTS = {
    **{("sampler", name): of.config_class for name, of in SAMPLERS.items()},
    **{("scorer", name): of.config_class for name, of in SCORERS.items()},
}
WHOLE = [-1, 0, 1, 3, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 10**30, -(2**31), -(10**30), 10**5000]
REAL = [0.5, -0.0, 1e-300, 1e-45, 1.0, 1e6, 1e38, 1e39, 1e308, -1e39, float("nan"), float("inf"), -float("inf")]
TEXT = [
    *("", "x", "\0", "a\0b", "\ud800", "x" * 300, "x" * 100_000, "~nobody-here/x", "a\nb", "a ", " a", "\x85", "\x1c"),
    *("`", "`a`", "a`b", "--dim=3", "#a", "//a", "a,b", '"', '"a', "é", "漢" * 90, "0", "1e5", "1_000", "nan", "gs://"),
    *("ndcg@0", "ndcg@999999999999", "ndcg@" + "9" * 5000, "ndcg@３", "full_", "given:x", "uniform|gdns", "a=1|2"),
    *("/dev/zero", "://", "..", "\ufeff", "True", "\u2028", "\x1b[31m", "%s", "{}", "popularity"),
    *("bpr:0", "bpr:" + "9" * 5000),
]
NO_SCALAR = [None, [], (), {}, object(), b"x", b"\xff", 1j, np.array([1, 2]), np.array(3), Path("p"), np.float32(2.5)]
TRUTH = [True, False, np.bool_(True), 0, 1, "True", "maybe"]
ODD = [*WHOLE, *REAL, *TEXT, *NO_SCALAR, *TRUTH]


class Case(NamedTuple):
    """A setting of a config that is good."""

    base: Settings
    name: str
    is_list: bool = False

    def make(self, value):
        """The config with another value of the setting."""
        if isinstance(self.base, TrainConfig):
            return self.base.with_settings(**{self.name: value})
        return replace(self.base, **{self.name: value})

    def values(self):
        return [*ODD, *[(value,) for value in ODD], ("a", "a"), (1, 1)] if self.is_list else ODD


def cases():
    for base in BASES:
        for field in fields(base):
            if "help" in field.metadata:
                yield Case(base, field.name, isinstance(field.default, tuple))
    for (chooser, chosen), config_class in PARTS.items():
        for field in fields(config_class):
            yield Case(TrainConfig.from_settings(**{chooser: chosen}, objective="pairs"), field.name)


CASES = list(cases())


def outcome(case, value, folder):
    """ "refused" or "taken"; fails where it is neither."""
    try:
        config = case.make(value)
    except InputError as error:
        told = str(error)
    else:
        check_kept(config, folder)
        return "taken"
    assert f"`{case.name}`" in told
    assert len(told.splitlines()) == 1
    assert len(told) < 4100
    return "refused"


def check_kept(config, folder):
    """Fails unless the config is what the flagfile says that is written of it, and of plain types."""
    path = folder / "flags.txt"
    path.write_text(replayable([config]), encoding="utf-8")
    assert read_config(path, type(config)) == config
    kept = [getattr(config, field.name) for field in fields(config) if "help" in field.metadata]
    assert {type(value) for value in kept} <= {str, int, float, bool, tuple, type(None)}
    if isinstance(config, TrainConfig):
        assert config.with_settings() == config == TrainConfig.from_settings(**config.settings())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("flags")


def test_every_settings_dataclass_is_tried():
    found = {}
    for path in itertools.chain((ROOT / "gdns_tf").rglob("*.py"), (ROOT / "pipelines").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                made = [each.value for each in node.body if isinstance(each, ast.AnnAssign)]
                calls = {getattr(each.func, "id", "") for each in made if isinstance(each, ast.Call)}
                found |= {node.name: path} if calls & {"flag", "seed_flag"} else {}
    parts = {each.__name__ for config_class in PARTS.values() for each in config_class.__mro__}
    assert len(found) > 20
    assert sorted(found.keys() - {type(base).__name__ for base in BASES} - parts) == []


@given(data=st.data())
def test_an_odd_value_is_refused_by_name_or_kept(data, folder):
    case = data.draw(st.sampled_from(CASES))
    outcome(case, data.draw(st.sampled_from(case.values())), folder)


SCALARS = st.one_of(
    st.integers(), st.floats(), st.text(), st.booleans(), st.integers(0, 100), st.floats(0, 1, width=32)
)


@given(data=st.data())
def test_any_value_is_refused_by_name_or_kept(data, folder):
    case = data.draw(st.sampled_from(CASES))
    outcome(case, data.draw(st.lists(SCALARS, max_size=3) if case.is_list else SCALARS), folder)


@given(data=st.data())
def test_what_flags_take_is_what_keywords_take(data, folder):
    """Of one text: absl refuses it, or the config does, or it is what the flags that are kept say."""
    base = data.draw(st.sampled_from(BASES[:10]))
    name = data.draw(st.sampled_from([field.name for field in fields(base) if "help" in field.metadata]))
    text = data.draw(st.one_of(st.sampled_from(TEXT), st.sampled_from([repr(v) for v in WHOLE[:-1] + REAL]), st.text()))
    values = absl_flags.FlagValues()
    define(type(base), values)
    try:
        values(["", f"--{name}={text}"])
        config = from_flags(type(base), base, values)
    except (absl_flags.Error, InputError) as error:
        told = str(error)
    else:
        check_kept(config, folder)
        assert replace(base, **{name: getattr(config, name)}) == config
        return
    assert name in told


def test_odd_values_of_every_setting(folder):
    """All of them, by hand: the suite draws some."""
    if os.environ.get("HYPOTHESIS_PROFILE") != "long":
        pytest.skip("by hand: HYPOTHESIS_PROFILE=long")
    counts = {"refused": 0, "taken": 0}
    short = []
    for case in CASES:
        for value in case.values():
            try:
                counts[outcome(case, value, folder)] += 1
            except Exception as error:
                short.append(
                    f"{type(case.base).__name__}.{case.name}={shown(value)}: {type(error).__name__} {error!s:.200}"
                )
    print(f"\n{len(CASES)} settings, {sum(counts.values()) + len(short)} values: {counts}, fell short: {len(short)}")
    assert not short, "\n".join(short)
