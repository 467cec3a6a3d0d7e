"""The network in tf_keras. TensorFlow is imported by the modules, never by this package itself."""
