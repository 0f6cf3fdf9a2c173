"""The mean colour of the networks' images."""

MEAN_BGR = (104.0, 117.0, 123.0)
"""Mean image of the release, blue, green, red; images are given less this."""
