"""The page of metrics, read by Prometheus's own parser."""

import bisect

from prometheus_client.parser import text_string_to_metric_families

from gdns_tf.server.metrics import Counter, Histogram, Metrics


def samples(metric):
    text = "\n".join([*metric.lines(), ""])
    return {  # that parser ends the names of all counters in _total
        (sample.name.removesuffix("_total"), tuple(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counts():
    counter = Counter(":tensorflow:serving:request_count", "model_name", "status")
    for status in ("OK", "NOT_FOUND", "OK"):
        counter.add('sho"p\\\n', status)
    counter.add("shop", "OK", count=5)
    name = ":tensorflow:serving:request_count"
    assert samples(counter) == {
        (name, (("model_name", 'sho"p\\\n'), ("status", "OK"))): 2,
        (name, (("model_name", 'sho"p\\\n'), ("status", "NOT_FOUND"))): 1,
        (name, (("model_name", "shop"), ("status", "OK"))): 5,
    }


def test_times():
    histogram = Histogram("latency", "API")
    times = [0, 5, 10, 11, 500, 500, 1e6, 1e12]
    for time in times:
        histogram.add(time, "Predict")
    found = samples(histogram)
    buckets = {dict(labels)["le"]: value for (name, labels), value in found.items() if name == "latency_bucket"}
    assert len(buckets) == 34
    assert buckets["+Inf"] == len(times)
    ordered = sorted(times)
    for power in range(33):
        bound = 10 * 1.8**power
        assert buckets[f"{bound:g}"] == bisect.bisect_right(ordered, bound)
    assert found["latency_sum", (("API", "Predict"),)] == sum(times)
    assert found["latency_count", (("API", "Predict"),)] == len(times)


def test_a_page_of_nothing_can_be_read():
    assert samples(Metrics()) == {}
