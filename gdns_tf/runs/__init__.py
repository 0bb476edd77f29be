"""A training run from start, or from where it was broken off, to its metrics, and the folder that it lives in."""
