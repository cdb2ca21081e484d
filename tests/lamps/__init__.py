"""Drawn signal heads under everything a street does to a picture, with known truth: how lamps are read."""
