"""Scorers, their losses and what a trained one is made of."""

import gdns_tf.keras2  # noqa: F401 (before anything here uses tf.keras)
