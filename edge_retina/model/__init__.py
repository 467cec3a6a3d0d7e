"""The network in tf_keras. Its modules import TensorFlow; this file must not."""
