"""What may be said, how it travels, where it is kept."""
