"""A baseline whose package is missing says what to install."""

import sys

import pytest
from toy import toy_interactions

from gdns_tf.evaluation.baselines import BASELINES
from pipelines.errors import InputError


@pytest.mark.parametrize("name", [name for name, baseline in BASELINES.items() if baseline.package])
def test_a_missing_package_is_told_with_its_remedy(monkeypatch, name):
    baseline = BASELINES[name]
    monkeypatch.setitem(sys.modules, baseline.package, None)
    for use in (lambda: baseline(toy_interactions(), dim=2, seed=0), baseline.load):
        with pytest.raises(InputError, match=rf"needs the package {baseline.package}.*pip install"):
            use()


@pytest.mark.parametrize("name", BASELINES)
def test_the_interactions_stay_as_they_are(name):
    if BASELINES[name].package:
        pytest.importorskip(BASELINES[name].package)
    train = toy_interactions(num_users=30)
    items, offsets = train.items.copy(), train.offsets.copy()
    BASELINES[name](train, dim=2, seed=0)
    assert (train.items == items).all()  # in their order: packages sort the rows that they are given
    assert (train.offsets == offsets).all()


def test_what_learns_no_factors_takes_no_notice_of_size_and_seed():
    models = [BASELINES["popularity"](toy_interactions(), dim=dim, seed=seed) for dim, seed in ((2, 0), (3, 1))]
    assert (models[0].items == models[1].items).all()
    with pytest.raises(TypeError, match="temperature"):
        BASELINES["popularity"](toy_interactions(), dim=2, seed=0, temperature=1.0)
