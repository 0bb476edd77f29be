"""From raw files to batches: readers -> Interactions -> Split (leave-one-out) -> tf.data user batches."""
