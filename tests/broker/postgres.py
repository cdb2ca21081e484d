"""A PostgreSQL of our own, the one the benchmarks start too."""

from edge.bench.postgres import bin_folder, cluster

__all__ = ["bin_folder", "cluster"]
