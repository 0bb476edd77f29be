"""What weights are chosen by."""

import numpy as np
import pytest

from gdns_tf.evaluation.baselines import popularity
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.evaluation.selection import SelectionMetric
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.load import load_dataset


@pytest.mark.parametrize(
    ("name", "protocol", "metric"),
    [("ndcg@3", "sampled", "ndcg@3"), ("full_ndcg@20", "full", "ndcg@20"), ("full_mrr", "full", "mrr")],
)
def test_it_is_the_metric_of_that_name(name, protocol, metric):
    split = load_dataset(DataConfig(planted_users=60, planted_items=150))
    model = popularity(split.train)
    report = evaluate(model, split, "valid", protocol, ks=[3, 20])
    expected = report.means()[metric]
    assert SelectionMetric(name).of(model, split) == pytest.approx(expected)
    assert SelectionMetric(name).of_ranks(report.ranks) == pytest.approx(expected)
    assert (SelectionMetric(name).protocol, SelectionMetric(name).bare) == (protocol, metric)
    assert np.isfinite(expected)


@pytest.mark.parametrize("name", ["ndgc@3", "ndcg", "ndcg@0", "ndcg@x", "full_", "mrr@3", "test_ndcg@3"])
def test_what_is_no_metric_is_refused(name):
    with pytest.raises(InputError, match=f"`select`={name} is no metric"):
        TrainConfig(select=name)


def test_the_nearest_is_suggested():
    with pytest.raises(InputError, match="did you mean 'full_ndcg@3'"):
        SelectionMetric("ful_ndcg@3")
