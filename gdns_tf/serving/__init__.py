"""A trained model as a SavedModel for TensorFlow Serving. README.md beside this file is the contract with clients."""
