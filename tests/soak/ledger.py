"""What a node of the soak meant to put, and what it has put: lines that outlive its kill."""

from __future__ import annotations

from pathlib import Path


class Ledger:
    """One file; a line cut short by a kill was not finished and counts as nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        text = path.read_bytes() if path.exists() else b""
        if text and not text.endswith(b"\n"):
            path.write_bytes(text[: text.rfind(b"\n") + 1])

    def lines(self) -> int:
        return len(self._all())

    def intend(self, key: str) -> None:
        self._write(f"intend {key}")

    def promise(self, key: str) -> None:
        self._write(f"promise {key}")

    @property
    def intended(self) -> set[str]:
        return {key for word, key in self._all() if word == "intend"}

    @property
    def promised(self) -> set[str]:
        return {key for word, key in self._all() if word == "promise"}

    def _write(self, line: str) -> None:
        with self._path.open("a") as file:
            file.write(f"{line}\n")

    def _all(self) -> list[tuple[str, str]]:
        if not self._path.exists():
            return []
        words = [line.split(" ") for line in self._path.read_text().splitlines()]
        return [(each[0], each[1]) for each in words if len(each) == 2]
