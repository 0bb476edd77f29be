"""GDNS: gain-tuning dynamic negative sampling for implicit-feedback recommendation in TensorFlow.

    import gdns_tf

    data = gdns_tf.Dataset.from_dataframe(df, user="user_id", item="item_id", timestamp="ts")
    model = gdns_tf.fit(data)
    model.recommend(["u-8f3a"], k=10)

Nothing heavy is imported before it is used. What is public is listed below, and in `__init__.pyi` for editors.
"""

import importlib
import os

__version__ = "0.2.0"

# TensorFlow Recommenders needs Keras 2, which `tf.keras` is only if this is set before its first use.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
# 2 hides notes and warnings of TensorFlow's C++ side, 3 also the error that there is no GPU, where there is none.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if os.path.exists("/proc/driver/nvidia") else "3")

_PUBLIC = {
    "Dataset": "pipelines.dataset",
    "fit": "gdns_tf.api",
    "load": "gdns_tf.api",
    "Model": "gdns_tf.api",
    "Recommender": "gdns_tf.clients.recommender",
    "SAMPLERS": "gdns_tf.samplers.registry",
    "SCORERS": "gdns_tf.models.registry",
    "Sampler": "gdns_tf.samplers.base",
    "SamplerConfig": "gdns_tf.samplers.base",
    "Selection": "gdns_tf.samplers.base",
    "Scorer": "gdns_tf.models.scorer",
    "ScorerConfig": "gdns_tf.models.scorer",
    "Callback": "gdns_tf.runs.callbacks",
    "InputError": "pipelines.errors",
}
__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value  # so that it is found at once from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
