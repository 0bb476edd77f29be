"""Run as a program where nothing but TensorFlow can be imported: answers pickled requests by loaded models.

    python serve_alone.py REQUESTS ANSWERS

REQUESTS is a list of (folder, signature, inputs). ANSWERS is as long: a dictionary of arrays for each, or the message
of the error that it got.
"""

import pickle
import sys
from pathlib import Path

BLOCKED = ("gdns_tf", "pipelines", "tensorflow_recommenders", "tf_keras", "keras", "tensorflow_datasets")


class _Without:
    """A finder that does not find what is blocked, as if it were not installed."""

    def __init__(self, finder) -> None:
        self._finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in BLOCKED else self._finder.find_spec(name, path, target)


def main(requests_file: str, answers_file: str) -> None:
    sys.meta_path[:] = [_Without(finder) for finder in sys.meta_path]
    import tensorflow as tf

    models, answers = {}, []
    for folder, signature, inputs in pickle.loads(Path(requests_file).read_bytes()):
        if folder not in models:
            models[folder] = tf.saved_model.load(folder)
        try:
            outputs = models[folder].signatures[signature](**{k: tf.constant(v) for k, v in inputs.items()})
            answers.append({name: value.numpy() for name, value in outputs.items()})
        except tf.errors.InvalidArgumentError as error:
            answers.append(error.message)
    assert not [name for name in BLOCKED if name in sys.modules]
    Path(answers_file).write_bytes(pickle.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
