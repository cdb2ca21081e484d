"""What the signals showed, from every kind of source."""
