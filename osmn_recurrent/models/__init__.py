"""Networks as Keras 3 models: any backend, no TensorFlow calls."""
