"""The cost curves: the fits find the laws that figures were made by, and a tiny run writes all that it says."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from gdns_tf.benchmarks import cost_curves
from gdns_tf.benchmarks.cost_curves import CostCurvesConfig, main, points
from gdns_tf.benchmarks.cost_estimates import LATENCY, NETWORK_BANDWIDTH, estimate
from gdns_tf.benchmarks.cost_model import MEMORY, SECONDS, power_law, sum_of_terms
from gdns_tf.benchmarks.cost_point import Cost, Sizes, interactions
from pipelines.errors import InputError

TINY = Sizes(num_users=60, num_items=50, group_size=2, num_candidates=6, dim=3)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.6, 2.0])
@pytest.mark.parametrize("fixed", [0.0, 0.8, 30.0])
def test_the_exponent_is_found_beside_a_fixed_cost(exponent, fixed):
    x = np.geomspace(4, 400, 5)
    law = power_law(x, fixed + 0.07 * x**exponent)
    assert law.exponent == pytest.approx(exponent, abs=0.03)
    assert law.fixed == pytest.approx(fixed, rel=0.03, abs=0.03)
    assert law(1000.0) == pytest.approx(fixed + 0.07 * 1000.0**exponent, rel=0.05)


def test_noise_moves_the_exponent_little_and_shows_in_the_error():
    rng, x = np.random.default_rng(1), np.geomspace(8, 800, 5)
    laws = [power_law(x, (2 + 0.1 * x) * np.exp(0.05 * rng.standard_normal(5))) for _ in range(40)]
    assert np.median([law.exponent for law in laws]) == pytest.approx(1.0, abs=0.1)
    assert 0.01 < np.median([law.error for law in laws]) < 0.08


def test_without_a_fixed_cost_the_slope_is_that_of_the_logarithms():
    x = np.array([1.0, 10.0, 100.0])
    law = power_law(x, [2.0, 20.0, 2000.0], with_fixed=False)
    assert (law.fixed, law.exponent) == (0.0, pytest.approx(1.5))  # log10 of the ends' ratio over two decades


@pytest.mark.parametrize(("terms", "unit"), [(SECONDS, 1e-7), (MEMORY, 1.0)])
def test_the_costs_of_terms_are_found(terms, unit):
    costs = {name: unit * (k + 1) for k, name in enumerate(terms)} | {"1": 0.5 / unit if unit == 1.0 else 0.5}
    values = [sum(costs[name] * term(sizes) for name, term in terms.items()) for sizes in points().values()]
    fitted = sum_of_terms(terms, list(points().values()), values)
    for name, cost in costs.items():
        assert fitted.costs[name] == pytest.approx(cost, rel=1e-3), name
    unseen = replace(cost_curves.BASE, num_users=700_000, dim=33, group_size=77)
    assert fitted(unseen) == pytest.approx(sum(costs[name] * term(unseen) for name, term in terms.items()), rel=1e-3)
    assert fitted.worst < 1e-3


def test_no_term_has_a_cost_below_0():
    values = [1.0 / (1 + sizes.dim) for sizes in points().values()]
    assert min(sum_of_terms(SECONDS, list(points().values()), values).costs.values()) >= 0


def test_estimates_by_hand():
    sizes = Sizes(204_800, 1_000, 32, 64, 10)
    seconds, draws = (
        sum_of_terms({"users": SECONDS["users"]}, [sizes], [cost * sizes.num_users]) for cost in (1e-4, 2e-6)
    )
    found = estimate(sizes, seconds, draws, bandwidth=33.5e9, cores=8)
    assert found.here == pytest.approx(20.48)
    assert found.accelerator == pytest.approx(0.2048)  # a hundredth of the bandwidth
    assert found.draws == pytest.approx(0.4096 / 8)
    gradient = 4 * 1_000 * 10 * 1.98 / NETWORK_BANDWIDTH + 198 * LATENCY
    assert found.workers == pytest.approx(0.2048 + 2 * gradient)  # two steps of 1,024 users each
    slow = estimate(sizes, seconds, draws, bandwidth=33.5e9, cores=0.5)
    assert slow.accelerator == slow.draws == pytest.approx(0.8192)


def test_points_vary_one_size_over_two_decades():
    for axis, values in cost_curves.AXES.items():
        assert max(values) == 100 * min(values)
        assert getattr(cost_curves.BASE, axis) in values
    assert len(points()) == 21
    assert all(sizes.num_candidates >= sizes.group_size for sizes in points().values())


def test_random_interactions_are_distinct():
    train = interactions(500, 90)
    assert (np.diff(train.items.reshape(500, -1), axis=1) > 0).all()
    assert train.items.min() >= 0
    assert train.items.max() < 90
    counts = train.item_counts
    assert counts[:30].sum() > 1.5 * counts[60:].sum()


def test_bad_settings_are_refused(tmp_path):
    with pytest.raises(InputError, match="`output_dir`"):
        CostCurvesConfig()
    with pytest.raises(InputError, match="no point 'dim=801'; did you mean 'dim=800'"):
        CostCurvesConfig(output_dir=str(tmp_path), points=("dim=801",))


def test_a_tiny_run_is_measured_once_and_written(tmp_path, monkeypatch, capsys):
    axes = {"num_users": (30, 60), "dim": (3, 6)}
    monkeypatch.setattr(cost_curves, "BASE", TINY)
    monkeypatch.setattr(cost_curves, "AXES", axes)
    config = CostCurvesConfig(output_dir=str(tmp_path), points=("base",), seconds=0.01)
    main(lambda _: config)
    assert not (tmp_path / "curves.md").exists()
    assert "not measured" not in capsys.readouterr().out
    # The others without processes of their own, which take seconds to start.
    monkeypatch.setattr(cost_curves, "measure_apart", lambda sizes, seconds: Cost(0.01 * sizes.dim, 0.1, 0.5, 1e9))
    monkeypatch.setattr(cost_curves, "memory_bandwidth", lambda: 1e10)
    main(lambda _: replace(config, points=()))
    rows = list(csv.DictReader((tmp_path / "curves.csv").read_text().splitlines()))
    assert [row["point"] for row in rows] == ["base", "num_users=30", "dim=6"]
    base = rows[0]
    assert float(base["memory"]) > 1e8  # TensorFlow alone is larger
    assert float(base["draws"]) > 0
    assert float(base["share"]) == 1.0
    assert float(rows[2]["seconds"]) == pytest.approx(0.06)
    page = (tmp_path / "curves.md").read_text()
    assert page.count("ESTIMATE") == 2
    assert f"{float(base['seconds']):.2f}" in page
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_what_does_not_fit_is_told_and_the_rest_goes_on(tmp_path, monkeypatch, capsys):
    def refuse(sizes, seconds):
        raise InputError("would not fit")

    monkeypatch.setattr(cost_curves, "measure_apart", refuse)
    main(lambda _: CostCurvesConfig(output_dir=str(tmp_path), points=("base",)))
    assert "base: not measured: would not fit" in capsys.readouterr().out
    assert not (tmp_path / "points").exists()
