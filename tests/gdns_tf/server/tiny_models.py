"""SavedModels of a few operations, which have nothing to do with recommendations and load in no time."""

import os
import shutil

import tensorflow as tf


class Tiny(tf.Module):
    """Answers with what NumPy can tell too."""

    def __init__(self, version):
        self._version = tf.Variable(version, trainable=False)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def serving_default(self, x):
        return {"log": tf.math.log(x), "version": tf.fill(tf.shape(x), self._version)}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int64, "x")])
    def sums(self, x):
        return {"sum": tf.reduce_sum(x, axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "a"), tf.TensorSpec([None], tf.string, "b")])
    def join(self, a, b):
        return {"text": a + b, "text_bytes": a + b}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.bool, "x")])
    def uneven(self, x):
        return {"all": tf.reduce_all(x)[None], "x": x, "scalar": tf.reduce_any(x)}


def save(folder, version):
    """Writes a version, whose variable is its number."""
    model = Tiny(version)
    names = ("serving_default", "sums", "join", "uneven")
    tf.saved_model.save(model, str(folder / str(version)), {name: getattr(model, name) for name in names})


def publish(source, folder):
    """Copies a version into a model's folder, where it appears whole."""
    folder.mkdir(exist_ok=True)
    hidden = folder / f".unfinished-{source.name}"
    shutil.copytree(source, hidden)
    os.rename(hidden, folder / source.name)
