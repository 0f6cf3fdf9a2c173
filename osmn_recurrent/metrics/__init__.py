"""Scores of masks against the truth; importable without TensorFlow."""
