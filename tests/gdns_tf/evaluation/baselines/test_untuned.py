"""Baselines by options for data that nobody has tuned them on."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from gdns_tf.evaluation.baselines import BASELINES
from gdns_tf.evaluation.baselines.untuned import UNTUNED, fit_untuned
from gdns_tf.evaluation.ranking import evaluate
from pipelines import memory
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.load import load_dataset

SPLIT = load_dataset(DataConfig(planted_users=500, planted_items=200))


@pytest.fixture(scope="module")
def fitted():
    """Each baseline that is installed."""
    found = {}
    for name, untuned in UNTUNED.items():
        try:
            found[name] = fit_untuned(name, SPLIT.train, dim=16)
        except InputError:
            assert BASELINES[untuned.baseline].package == "lightfm"  # which the tests do not install
    return found


@pytest.fixture(scope="module")
def ndcg(fitted):
    """Full NDCG@20 on test."""
    return {
        name: evaluate(baseline.model, SPLIT, "test", "full", ks=[20]).means()["ndcg@20"]
        for name, baseline in fitted.items()
    }


def test_they_stand_in_the_order_that_comparisons_of_others_find(ndcg):
    """Dacrema et al. (RecSys 2019) and Rendle et al. (RecSys 2022): popularity is last by far, linear models ahead."""
    assert all(value > 1.3 * ndcg["popularity"] for name, value in ndcg.items() if name != "popularity")
    assert ndcg["ease"] > ndcg["itemknn"]
    assert ndcg["ials_scaled"] > ndcg["bpr"]


def test_the_two_implementations_of_ials_come_to_much_the_same(ndcg):
    assert ndcg["ials"] == pytest.approx(ndcg["ials_scaled"], rel=0.15)


def test_the_more_users_an_item_has_the_more_ease_is_regularised(fitted):
    mean = np.mean([sum(SPLIT.train.items == item) for item in range(200)])
    assert fitted["ease"].options["regularization"] == pytest.approx(40 * np.sqrt(mean), rel=0.01)


def test_the_l2_of_a_user_of_ials_is_the_same_on_average_whatever_the_catalogue(fitted):
    options = fitted["ials_scaled"].options
    users = [SPLIT.train.of(user) for user in range(500)]
    l2 = [options["regularization"] * (len(items) + options["alpha0"] * 200) for items in users]  # see `scaled_als`
    assert np.mean(l2) == pytest.approx(4, rel=0.01)


def test_options_are_all_that_a_baseline_ran_with(fitted):
    found = fitted["ials_scaled"]
    assert found.options.keys() == {"dim", "seed", "regularization", "alpha0", "iterations"}
    assert (found.options["dim"], found.options["seed"]) == (16, 0)
    again = BASELINES["ials_scaled"].fit(SPLIT.train, **found.options)
    np.testing.assert_allclose(again.queries, found.model.queries, rtol=1e-3, atol=1e-5)  # its threads add in any order


def test_what_would_not_fit_into_memory_is_refused_with_the_estimate(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 64.0 * 2**30)
    large = replace(SPLIT.train, item_ids=np.arange(80_000))
    with pytest.raises(InputError, match=r"ease of 80,000 items would take about 71\.5 GiB .*64\.0 are free.*itemknn"):
        fit_untuned("ease", large, dim=8)
    assert fit_untuned("popularity", large, dim=8).model.num_items == 80_000


@pytest.mark.parametrize("name", ["ease", "ials", "bpr", "warp"])
def test_a_missing_package_is_told_with_its_remedy(monkeypatch, name):
    monkeypatch.setitem(sys.modules, BASELINES[UNTUNED[name].baseline].package, None)
    with pytest.raises(InputError, match=r"needs the package .*pip install"):
        fit_untuned(name, SPLIT.train, dim=2)


def test_the_nearest_name_is_suggested():
    with pytest.raises(InputError, match="no baseline 'knn'; did you mean 'itemknn'"):
        fit_untuned("knn", SPLIT.train, dim=2)
