"""Painting, propagating and correcting, on the streaming interface alone."""
