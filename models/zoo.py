"""The models at hand: found by name in a folder of their own, or by path, and never run unverified.

The folder is ``NEARMISS_MODELS``, else ``nearmiss/models`` under the XDG data home. A model there is
``NAME.onnx``; one that did not come with nearmiss has its card ``NAME.toml`` beside it.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.card import Card, ModelError, card_toml, read_card, shipped_cards
from models.onnx import OnnxDetector, Runtime

TIMEOUT_S = 20.0
MAX_BYTES = 2**31

Progress = Callable[[int, int | None], None]


class PullError(RuntimeError):
    """A download that did not bring the model: no network, another file, an error of the server."""


@dataclass(frozen=True)
class Listed:
    """A model known by its card; ``path`` is None where its weights are not here."""

    card: Card
    path: Path | None


def store_folder() -> Path:
    """Return the folder of models, which need not exist yet."""
    chosen = os.environ.get("NEARMISS_MODELS")
    if chosen:
        return Path(chosen)
    home = os.environ.get("XDG_DATA_HOME")
    base = Path(home) if home and Path(home).is_absolute() else Path.home() / ".local" / "share"
    return base / "nearmiss" / "models"


def cards() -> dict[str, Card]:
    """Return every card known, by name: those that come with nearmiss, then those of the store.

    Raises:
        ModelError: a card of the store that cannot be used.
    """
    known = dict(shipped_cards())
    for path in sorted(store_folder().glob("*.toml")):
        card = _card_file(path)
        if card.name != path.stem:
            raise ModelError(f"{path}: name is {card.name!r}, the file says {path.stem!r}")
        known.setdefault(card.name, card)
    return known


def listed() -> list[Listed]:
    """Return every model known, with its file where it is here."""
    found = []
    for card in cards().values():
        path = _stored(card)
        found.append(Listed(card, path if path.is_file() else None))
    return found


def load(
    name_or_path: str,
    *,
    provider: str | None = None,
    threads: int | None = None,
    score: float | None = None,
    runtime: Runtime | None = None,
) -> OnnxDetector:
    """Return a detector by its name in the store or by the path of an ONNX file.

    Args:
        provider: an ONNX Runtime provider or its short name; None is the CPU.
        threads: of one inference; None leaves it to ONNX Runtime.
        score: reports boxes from this score on, instead of the card's threshold.
        runtime: see ``OnnxDetector``.

    Raises:
        ModelError: nothing by that name, no card for the file, another hash than its card's, or a model
            that cannot be used.
    """
    if _is_path(name_or_path):
        path = Path(name_or_path)
        weights = _read(path)
        card = _card_for(path, weights)
    else:
        card = _known(name_or_path)
        path = _stored(card)
        if not path.is_file():
            raise ModelError(
                f"model {card.name!r} is not here ({path}): `nearmiss models pull {card.name}` fetches it, "
                "`nearmiss models add FILE` takes a file you have"
            )
        weights = _read(path)
        _verify(weights, card, origin=str(path))
    return OnnxDetector(
        weights,
        card,
        origin=str(path),
        provider=provider,
        threads=threads,
        score=score,
        runtime=runtime,
    )


def add(file: Path, *, card: Path | None) -> Listed:
    """Take an ONNX file into the store: whole, verified and able to run, or not at all.

    Args:
        card: the model's card; not needed where the file is one that nearmiss knows by its hash.

    Raises:
        ModelError: see ``load``.
    """
    weights = _read(file)
    known = _by_hash(weights)
    if card is None:
        if known is None:
            raise ModelError(
                f"{file}: not a model nearmiss knows (sha256 {_sha256(weights)}): describe it in a card and "
                "give it with --card (docs/models.md)"
            )
        chosen, text = known, None
    else:
        text = _text(card)
        chosen = read_card(text, origin=str(card))
        if chosen.sha256 is None:
            # The card of one's own model need not state its hash; from here on it is held to it.
            text = f'sha256 = "{_sha256(weights)}"\n{text}'
            chosen = read_card(text, origin=str(card))
        _verify(weights, chosen, origin=str(file))
        if chosen.name in shipped_cards() and chosen != shipped_cards()[chosen.name]:
            raise ModelError(
                f"{card}: name: {chosen.name!r} is a model that comes with nearmiss; take another name"
            )
    OnnxDetector(weights, chosen, origin=str(file))
    # The card first: a card without weights is a model not here yet, weights without a card are nothing.
    if text is not None and chosen.name not in shipped_cards():
        _write(store_folder() / f"{chosen.name}.toml", text.encode())
    path = _stored(chosen)
    _write(path, weights)
    return Listed(chosen, path)


def weights_of(name_or_path: str) -> bytes:
    """Return a model's file, as ``load`` would verify and run it.

    Raises:
        ModelError: see ``load``.
    """
    return _read(Path(name_or_path) if _is_path(name_or_path) else _stored(_known(name_or_path)))


def keep(weights: bytes, card: Card) -> Listed:
    """Take a model made here into the store, with its card.

    Raises:
        ModelError: it is not the file its card says, or the store cannot be written.
    """
    _verify(weights, card, origin=card.name)
    _write(store_folder() / f"{card.name}.toml", card_toml(card).encode())
    _write(_stored(card), weights)
    return Listed(card, _stored(card))


def pull(name: str, *, timeout_s: float = TIMEOUT_S, progress: Progress | None = None) -> Listed:
    """Download a model's weights into the store, unless they are there; nothing stays that fails its hash.

    Raises:
        ModelError: no such model, or none that can be downloaded.
        PullError: the download failed or brought another file; one clear line.
    """
    card = _known(name)
    url, sha256 = card.source.url, card.sha256
    if url is None or sha256 is None:
        whence = card.source.repository or card.source.upstream or "its maker"
        raise ModelError(
            f"model {name!r} cannot be pulled: its card names no address; get it from {whence}, then "
            "`nearmiss models add FILE`"
        )
    path = _stored(card)
    if path.is_file() and _sha256(_read(path)) == sha256:
        return Listed(card, path)
    weights = _download(url, timeout_s=timeout_s, progress=progress)
    came = _sha256(weights)
    if came != sha256:
        raise PullError(
            f"{url}: brought another file than {name}: {len(weights)} bytes of sha256 {came}, "
            f"expected {sha256}; nothing was kept"
        )
    _write(path, weights)
    return Listed(card, path)


def _download(url: str, *, timeout_s: float, progress: Progress | None) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "nearmiss"})
    parts: list[bytes] = []
    size = 0
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            length = answer.headers.get("Content-Length", "")
            total = int(length) if re.fullmatch(r"[0-9]{1,15}", length) else None
            while part := answer.read(1 << 18):
                parts.append(part)
                size += len(part)
                if size > MAX_BYTES:
                    raise PullError(
                        f"{url}: more than {MAX_BYTES >> 20} MiB, which is no detector; nothing was kept"
                    )
                if progress is not None:
                    progress(size, total)
    except urllib.error.HTTPError as error:
        with error:
            raise PullError(f"{url}: the server answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise PullError(f"{url}: cannot be reached: {_reason(error.reason)}; {_BY_HAND}") from error
    except (OSError, http.client.HTTPException) as error:
        raise PullError(
            f"{url}: the download broke off after {size} bytes: {_reason(error)}; {_BY_HAND}"
        ) from error
    if total is not None and size < total:
        raise PullError(f"{url}: the download broke off after {size} of {total} bytes; {_BY_HAND}")
    return b"".join(parts)


_BY_HAND = "without a network, get the file elsewhere and `nearmiss models add FILE`"


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _is_path(name_or_path: str) -> bool:
    return (
        name_or_path.endswith(".onnx")
        or "/" in name_or_path
        or os.sep in name_or_path
        or Path(name_or_path).is_file()
    )


def _known(name: str) -> Card:
    known = cards()
    if name == "motion":
        raise ModelError("'motion' is built in: it has no weights to load, pull or evaluate here")
    if name not in known:
        raise ModelError(
            f"model {name!r} is not known: there are motion, {', '.join(known)}, "
            "or give the path of an ONNX file"
        )
    return known[name]


def _card_for(path: Path, weights: bytes) -> Card:
    """Return the card of a file given by path: the one with its hash, else the one beside it."""
    known = _by_hash(weights)
    if known is not None:
        return known
    beside = path.with_suffix(".toml")
    if not beside.is_file():
        raise ModelError(
            f"{path}: not a model nearmiss knows (sha256 {_sha256(weights)}), and no card {beside.name} "
            "lies beside it: write one (docs/models.md)"
        )
    card = _card_file(beside)
    if card.sha256 is not None:
        _verify(weights, card, origin=str(path))
    return card


def _by_hash(weights: bytes) -> Card | None:
    sha256 = _sha256(weights)
    return next((card for card in cards().values() if card.sha256 == sha256), None)


def _verify(weights: bytes, card: Card, *, origin: str) -> None:
    came = _sha256(weights)
    if came != card.sha256:
        raise ModelError(f"{origin}: sha256 is {came}, the card of {card.name} says {card.sha256}")


def _stored(card: Card) -> Path:
    return store_folder() / f"{card.name}.onnx"


def _card_file(path: Path) -> Card:
    return read_card(_text(path), origin=str(path))


def _text(path: Path) -> str:
    try:
        return _read(path).decode()
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: not a TOML file: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
