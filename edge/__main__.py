"""`python -m edge` is `nearmiss`."""

from edge.cli import main

main()
