"""Stores for the tests of privacy: those of the chain."""

from __future__ import annotations

from tests.broker.conftest import clips, sqlite_store

__all__ = ["clips", "sqlite_store"]
