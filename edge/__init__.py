"""The node: composes calibration, models and broker into one straight line per frame."""

__version__ = "0.1.0"
