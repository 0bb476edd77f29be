"""The Keras model that trains a scorer on the choices of a sampler, and what it is told."""
