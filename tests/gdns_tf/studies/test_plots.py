"""What plots show, and what they leave out: read from the figures before they are written."""

import numpy as np
import pytest

from gdns_tf.studies import plots

SYSTEMS = {"Uniform": [0.30, 0.302], "DNS": [0.305, 0.309], "GDNS": [0.31, 0.311]}
COLLAPSED = SYSTEMS | {"AHNS": [0.036, 0.038]}


@pytest.fixture
def axes(monkeypatch):
    """Makes a plot and returns its panels."""
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))

    def made(plot, *args, **options):
        plot(None, *args, **options)
        figures[-1].canvas.draw()
        return figures[-1].axes

    yield made
    for figure in figures:
        plots.plt.close(figure)


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_only_what_is_published_is_in_the_legend(axes):
    assert "published" not in axes(plots.ranking, SYSTEMS, {}, "NDCG@3")[0].get_xlabel()
    assert "published" in axes(plots.ranking, SYSTEMS, {"GDNS": 0.31}, "NDCG@3")[0].get_xlabel()


def test_a_collapsed_system_is_told_and_leaves_the_others_their_room(axes):
    plain, pressed = (axes(plots.ranking, systems, {}, "NDCG@3")[0] for systems in (SYSTEMS, COLLAPSED))
    assert pressed.get_xlim() == plain.get_xlim()
    assert texts(pressed) == ["← 0.0370"]
    points = {title: (1.0, np.mean(values)) for title, values in COLLAPSED.items()}
    pressed = axes(plots.trade_off, points, "NDCG@3")[0]
    assert pressed.get_ylim()[0] > 0.29
    assert "AHNS ↓ 0.0370" in texts(pressed)
    x = np.arange(3)
    lines = {title: (x, np.full(3, np.mean(values))) for title, values in COLLAPSED.items()}
    assert "AHNS ↓ 0.0370" in texts(axes(plots.curves, lines, "NDCG@3", floor=0.29)[0])


def test_systems_that_are_spread_out_are_all_drawn(axes):
    spread = {f"{value}": [value] for value in (0.1, 0.2, 0.3, 0.4)}
    drawn = axes(plots.ranking, spread, {}, "NDCG@3")[0]
    assert drawn.get_xlim()[0] < 0.1
    assert not texts(drawn)


def test_bands_are_as_high_as_told(axes):
    x, y, sd = np.arange(3), np.array([0.1, 0.2, 0.3]), np.array([0.01, 0.02, 0.03])
    (band,) = axes(plots.curves, {"GDNS": (x, y)}, "NDCG@3", deviations={"GDNS": sd})[0].collections
    corners = band.get_paths()[0].vertices
    assert {(2.0, 0.33), (2.0, 0.27)} <= {(a, round(b, 9)) for a, b in corners.tolist()}


def test_the_legend_covers_no_density(axes):
    high = np.array([9, 1, 9])
    panels = axes(plots.densities, {"H": (high, high), "G": (high, high)})
    legend = panels[0].figure.legends[0].get_window_extent()
    assert [text.get_text() for text in panels[0].figure.legends[0].get_texts()] == [
        "planted false negatives",
        "common",
    ]
    assert all(not panel.get_window_extent().overlaps(legend) for panel in panels)
