"""What people's files look like: frames, videos and masks in and out."""

DEFAULT_FPS = 24.0
"""Frames per second where nothing sensible says them: DAVIS'."""
