"""Examples, each run by the tests: `python -m gdns_tf.examples.from_dataframe`, and `quickstart.ipynb`."""
