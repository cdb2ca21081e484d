"""The calibrate page: from a frame to metres one can trust, in the browser."""
