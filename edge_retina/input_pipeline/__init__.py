"""From labelled pictures to training batches, in tf.data."""
