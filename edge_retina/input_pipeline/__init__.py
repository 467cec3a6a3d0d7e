"""From labelled images to training batches, with tf.data."""
