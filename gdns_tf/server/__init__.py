"""A small server on TensorFlow Serving's contracts: for trying out, for tests, and for small loads."""
