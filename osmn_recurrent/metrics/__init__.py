"""Scores of masks against the ground truth; importable without TensorFlow."""
