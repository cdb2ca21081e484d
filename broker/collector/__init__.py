"""Receives events from nodes, keeps them, shows them to operators."""
