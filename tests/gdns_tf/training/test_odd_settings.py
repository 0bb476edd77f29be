"""Every number at the ends of its bounds trains an epoch, or is refused in a line that names it. By hand:

HYPOTHESIS_PROFILE=long pytest -n 0 -s tests/gdns_tf/training/test_odd_settings.py
"""

import dataclasses
import os
import warnings

import numpy as np
import pytest

from gdns_tf.samplers.registry import SAMPLERS
from gdns_tf.train import train
from gdns_tf.training.config import TrainConfig, objectives_of
from gdns_tf.training.recipes import RECIPES
from pipelines.checks import LARGEST_COUNT
from pipelines.config import DataConfig
from pipelines.errors import InputError

DATA = DataConfig(dataset="planted", planted_users=40, planted_items=140)
TINY = {"dim": 4, "max_epochs": 1, "tensorboard": False, "show_users": 0}
FOR_EVER = {"max_epochs"}
SLOW = dict.fromkeys(("num_candidates", "memory_size", "top_candidates", "dim"), 2**10)
"""Whose largest value would take minutes and gigabytes, as it says."""
SMALLEST, LARGEST = 2.0**-126, float(np.finfo(np.float32).max)


def ends(field):
    """What a setting may just be: the ends of its bounds, something between them, and its choices."""
    bounds, default = field.metadata["bounds"], field.default
    if default is None or isinstance(default, bool):
        return [value for value in (True, False) if value is not default]
    if isinstance(default, str):
        return [choice for choice in field.metadata["choices"] if choice != default]
    if isinstance(default, int):
        low = 0 if bounds.at_least is None else bounds.at_least
        high = SLOW.get(field.name, LARGEST_COUNT if bounds.at_most is None else bounds.at_most)
        return sorted({low, 7, high} - {default})
    low = next((v for v in (bounds.at_least, bounds.above) if v is not None), -LARGEST)
    high = next((v for v in (bounds.at_most, bounds.below) if v is not None), LARGEST)
    within = {low, SMALLEST, high, float(np.nextafter(high, 0.0)) if bounds.objection(high) else 1e3}
    return sorted(float(v) for v in within if not bounds.objection(v))


def cases():
    """(settings of a run, the one that is odd)."""
    for sampler, each in SAMPLERS.items():
        for field in dataclasses.fields(each.config_class):
            chosen = TINY | {"sampler": sampler, "uniform_epochs": 0}  # it sets in at once
            yield from ((chosen | {field.name: value}, field.name) for value in ends(field))
    for scorer in ("history", "svdpp"):
        for field in dataclasses.fields(TrainConfig.from_settings(scorer=scorer).scorer_config):
            yield from ((TINY | {"scorer": scorer, field.name: value}, field.name) for value in ends(field))
    for objective in RECIPES:
        base = TrainConfig.from_settings(objective=objective, **TINY)
        for field in dataclasses.fields(base):
            meant = objectives_of([field.name]).get(field.name, RECIPES)
            if "help" in field.metadata and field.name not in FOR_EVER and objective in meant:
                yield from ((TINY | {"objective": objective, field.name: value}, field.name) for value in ends(field))


def outcome(odd, name, folder):
    """ "trained", "refused" or "diverged"; fails where it is none of them, or another setting is blamed."""
    try:
        metrics = train(DATA, TrainConfig.from_settings(**odd, output_dir=str(folder)))
    except (InputError, FloatingPointError) as error:
        told, kind = str(error), "diverged" if isinstance(error, FloatingPointError) else "refused"
    else:
        assert np.isfinite(metrics["valid"]["ndcg@3"])
        with np.load(folder / "weights.npz") as weights:
            assert all(np.isfinite(array).all() for array in weights.values())
        return "trained"
    assert f"`{name}`" in told, told
    assert len(told.splitlines()) == 1
    return kind


def test_the_ends_of_every_bound(tmp_path):
    if os.environ.get("HYPOTHESIS_PROFILE") != "long":
        pytest.skip("by hand: HYPOTHESIS_PROFILE=long")
    warnings.simplefilter("ignore")
    counts, short = {}, []
    tried = list(cases())
    for number, (odd, name) in enumerate(tried):
        try:
            kind = outcome(odd, name, tmp_path / str(number))
            counts[kind] = counts.get(kind, 0) + 1
        except Exception as error:
            shown = {key: value for key, value in odd.items() if key not in TINY or key == name}
            short.append(f"{shown}: {type(error).__name__} {error!s:.200}")
            print(short[-1], flush=True)
    print(f"\n{len(tried)} runs: {counts}, fell short: {len(short)}")
    assert not short, "\n".join(short)
