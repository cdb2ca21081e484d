"""Trajectories and truth nobody here wrote: SUMO junctions."""
