"""Where things are: pixels to metres, and the site."""
