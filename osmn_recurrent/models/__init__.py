"""Networks as Keras 3 models: any backend, no TensorFlow calls."""

NAMES = ("osmn", "reconvnet", "osvos", "osvos_m", "masktrack", "masktrack_m")
"""Names of the networks, here so that programs can list them without Keras."""
