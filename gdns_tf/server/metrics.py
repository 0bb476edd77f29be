"""What is counted and timed, under TensorFlow Serving's names, as Prometheus reads it.

Names, labels and buckets are those of `servables/tensorflow/util.cc`, `saved_model_warmup_util.cc` and TensorFlow's
`cc/saved_model/loader.cc`; the text is that of `prometheus_exporter.cc`. Times are in microseconds.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterator

BOUNDS = [10 * 1.8**power for power in range(33)]
"""Upper bounds of a histogram's buckets, 10 microseconds to 20 minutes; one more bucket is without."""


class Counter:
    """How often something happened, for each combination of labels. Safe to use from several threads."""

    def __init__(self, name: str, *labels: str) -> None:
        self._name, self._labels = name, labels
        self._counts: dict[tuple[str, ...], int] = {}
        self._lock = threading.Lock()

    def add(self, *values: str, count: int = 1) -> None:
        """Counts once more, or `count` times, under these values of the labels."""
        with self._lock:
            self._counts[values] = self._counts.get(values, 0) + count

    def lines(self) -> Iterator[str]:
        with self._lock:
            counts = dict(self._counts)
        yield f"# TYPE {self._name} counter"
        for values, count in counts.items():
            yield f"{self._name}{{{label_text(self._labels, values)}}} {count}"


class Histogram:
    """How long something took, for each combination of labels. Safe to use from several threads."""

    def __init__(self, name: str, *labels: str) -> None:
        self._name, self._labels = name, labels
        self._cells: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}
        self._lock = threading.Lock()

    def add(self, microseconds: float, *values: str) -> None:
        """Adds a time under these values of the labels."""
        with self._lock:
            counts, total = self._cells.setdefault(values, ([0] * (len(BOUNDS) + 1), [0.0]))
            counts[bisect_left(BOUNDS, microseconds)] += 1
            total[0] += microseconds

    def lines(self) -> Iterator[str]:
        with self._lock:
            cells = {values: (list(counts), total[0]) for values, (counts, total) in self._cells.items()}
        yield f"# TYPE {self._name} histogram"
        for values, (counts, total) in cells.items():
            labels, so_far = label_text(self._labels, values), 0
            for bound, count in zip([*(f"{bound:g}" for bound in BOUNDS), "+Inf"], counts, strict=True):
                so_far += count
                yield f'{self._name}_bucket{{{labels},le="{bound}"}} {so_far}'
            yield f"{self._name}_sum{{{labels}}} {total:.0f}"
            yield f"{self._name}_count{{{labels}}} {so_far}"


class Metrics:
    """All that a server counts and times."""

    def __init__(self) -> None:
        self.request_count = Counter(":tensorflow:serving:request_count", "model_name", "status")
        self.request_latency = Histogram(":tensorflow:serving:request_latency", "model_name", "API", "entrypoint")
        self.runtime_latency = Histogram(":tensorflow:serving:runtime_latency", "model_name", "API", "runtime")
        self.warmup_latency = Histogram(":tensorflow:serving:model_warmup_latency", "model_path", "status")
        self.warmup_records = Counter(":tensorflow:serving:model_warmup_records_read", "model_path", "status")
        self.load_attempts = Counter(":tensorflow:cc:saved_model:load_attempt_count", "model_path", "status")
        self.load_latency = Counter(":tensorflow:cc:saved_model:load_latency", "model_path")

    def lines(self) -> Iterator[str]:
        """The lines that Prometheus reads."""
        for metric in vars(self).values():
            yield from metric.lines()


def label_text(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """`name="value",...`, escaped as Prometheus wants it."""
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
