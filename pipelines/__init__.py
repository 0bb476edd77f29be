"""From raw files to batches: readers -> Interactions -> Dataset (leave-one-out split) -> tf.data user batches."""
