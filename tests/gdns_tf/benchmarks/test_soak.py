"""What the soak takes for right, and what for a growth of memory."""

import numpy as np
import pytest

from gdns_tf.benchmarks.serving import Question
from gdns_tf.benchmarks.soak import Figures, Publisher, _ask

QUESTION = Question("user", "serving_default", {}, {"item_ids": np.array([[1, 2]])})
OTHER = Question("user", "serving_default", {}, {"item_ids": np.array([[2, 1]])})


def test_growth_is_that_of_the_second_half():
    seconds = np.arange(101.0)
    megabytes = np.where(seconds < 50, 100 + seconds, 150 + 0.2 * (seconds - 50))
    figures = Figures(memory=list(zip(seconds, megabytes, strict=True)))
    assert figures.growth() == pytest.approx(0.2 * 50)
    assert "slope over the second half +720.0 MB an hour (+10.0 MB)" in str(figures)


def test_an_answer_must_be_of_a_version_that_could_be_served(tmp_path):
    for number in range(3):
        (tmp_path / f"staged{number}").mkdir()
    publisher = Publisher(tmp_path / "models", [tmp_path / f"staged{number}" for number in range(3)])
    for _ in range(5):
        publisher.publish()
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["3", "4", "5"]
    assert publisher.models(since=5) == {2}
    assert publisher.models(since=4) == {1, 2}

    class Fixed:
        def __init__(self, answer):
            self.answer = answer

        def ask(self, _):
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    def figures_of(answer, number, served):
        figures, publisher.served = Figures(), served
        _ask(Fixed(answer), number, publisher, [[OTHER], [OTHER], [QUESTION]], figures)
        return figures

    assert figures_of(QUESTION.answer, 1, served=5).answers == {"user": 1}
    assert len(figures_of(OTHER.answer, 1, served=5).wrong) == 1, "of version 4, which is gone"
    assert figures_of(OTHER.answer, 1, served=4).answers == {"user": 1}
    assert len(figures_of(OSError("gone"), 1, served=5).wrong) == 1
    assert figures_of(OSError("HTTP 400: no"), 0, served=5).refused == 1
    assert len(figures_of(QUESTION.answer, 0, served=5).wrong) == 1, "what makes no sense was answered"
