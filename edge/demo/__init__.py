"""The demo: a drawn intersection with known truth through the whole chain."""
