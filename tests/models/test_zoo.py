"""The store of models: verified, whole or not at all; downloads from a server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models import zoo
from models.card import ModelError
from tests.models.graphs import card_text, constant_model

MODEL = constant_model({"output0": np.zeros((1, 6, 20), np.float32)})
SHA256 = hashlib.sha256(MODEL).hexdigest()
IMAGE = np.zeros((48, 64, 3), np.uint8)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "store"
    monkeypatch.setenv("NEARMISS_MODELS", str(folder))
    return folder


def written(folder: Path, name: str, content: bytes | str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_where_the_store_is(monkeypatch: pytest.MonkeyPatch, store: Path, tmp_path: Path) -> None:
    assert zoo.store_folder() == store
    monkeypatch.delenv("NEARMISS_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert zoo.store_folder() == tmp_path / "nearmiss" / "models"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert zoo.store_folder() == tmp_path / "home" / ".local" / "share" / "nearmiss" / "models"


@pytest.mark.data
def test_a_known_file_is_taken_in_under_its_own_name(data: Path, store: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "whatever.onnx"
    shutil.copyfile(data / "weights" / "deimv2-atto.onnx", renamed)
    assert zoo.load(str(renamed)).name == "deimv2-atto"
    with pytest.raises(ModelError, match="is not here"):
        zoo.load("deimv2-atto")
    assert zoo.add(renamed, card=None).path == store / "deimv2-atto.onnx"
    assert zoo.load("deimv2-atto").name == "deimv2-atto"
    assert names(store) == ["deimv2-atto.onnx"]
    assert [model.card.name for model in zoo.listed() if model.path] == ["deimv2-atto"]


@pytest.mark.data
def test_a_changed_file_of_the_store_is_not_run(data: Path, store: Path) -> None:
    zoo.add(data / "weights" / "deimv2-atto.onnx", card=None)
    with (store / "deimv2-atto.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelError, match="sha256 is"):
        zoo.load("deimv2-atto")


def test_a_model_of_ones_own(store: Path, tmp_path: Path) -> None:
    model = written(tmp_path, "best.onnx", MODEL)
    with pytest.raises(ModelError, match=f"sha256 {SHA256}.*--card"):
        zoo.add(model, card=None)
    with pytest.raises(ModelError, match=r"no card best\.toml lies beside it"):
        zoo.load(str(model))
    card = written(tmp_path, "best.toml", card_text(name="crossing-v2"))
    assert len(zoo.load(str(model)).detect(IMAGE)) == 0
    assert zoo.add(model, card=card).card.sha256 == SHA256
    assert names(store) == ["crossing-v2.onnx", "crossing-v2.toml"]
    assert zoo.load("crossing-v2").name == "crossing-v2"
    assert "crossing-v2" in {model.card.name for model in zoo.listed()}
    card.unlink()
    assert zoo.load(str(model)).name == "crossing-v2"  # known by its hash now


@pytest.mark.parametrize(
    ("model", "card", "problem"),
    [
        pytest.param(MODEL, card_text(sha256="0" * 64), "sha256 is", id="another file than the card's"),
        pytest.param(MODEL, card_text(labels='["person", "face"]'), "who somebody is", id="a face class"),
        pytest.param(MODEL, card_text("yolox"), "gives", id="another head"),
        pytest.param(b"junk", card_text(), "cannot load", id="not a model"),
        pytest.param(MODEL, "name = 3", "name", id="a card that is none"),
        pytest.param(MODEL, b"\xff\xfe", "not a TOML file", id="a card that is no text"),
        pytest.param(MODEL, card_text(name="yolox-nano"), "take another name", id="a name that is taken"),
    ],
)
def test_what_cannot_be_used_leaves_nothing(
    model: bytes, card: str | bytes, problem: str, store: Path, tmp_path: Path
) -> None:
    file = written(tmp_path, "best.onnx", model)
    with pytest.raises(ModelError, match=problem):
        zoo.add(file, card=written(tmp_path, "card.toml", card))
    assert names(store) == []


def test_a_store_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARMISS_MODELS", str(written(tmp_path, "a-file", b"")))
    card = written(tmp_path, "card.toml", card_text())
    with pytest.raises(ModelError, match=r"cannot be (written|read)"):
        zoo.add(written(tmp_path, "best.onnx", MODEL), card=card)


@pytest.mark.parametrize("name", ["nope", "motion", "", "deimv2-femto2"])
def test_names_that_are_not_known(name: str) -> None:
    for use in (zoo.load, zoo.pull):
        with pytest.raises(ModelError) as caught:
            use(name)
        assert len(caught.value.problems) == 1


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        zoo.load(str(tmp_path / "no.onnx"))
    with pytest.raises(ModelError, match="cannot be read: Is a directory"):
        zoo.load(f"{tmp_path}/")


class _Answers(http.server.BaseHTTPRequestHandler):
    """Answers by path: /good, /other, /short (breaks off), /moved, anything else is not found."""

    def do_GET(self) -> None:
        match self.path:
            case "/good" | "/short":
                self.send_response(200)
                self.send_header("Content-Length", str(len(MODEL)))
                self.end_headers()
                self.wfile.write(MODEL if self.path == "/good" else MODEL[:100])
            case "/other":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"<html>log in</html>")
            case "/moved":
                self.send_response(302)
                self.send_header("Location", "/good")
                self.end_headers()
            case _:
                self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join()


def pullable(store: Path, url: str) -> None:
    """Put a card into the store whose weights are to be had at an address."""
    written(store, "far.toml", card_text(name="far", sha256=SHA256, more=f'[source]\nurl = "{url}"'))


@pytest.mark.parametrize("path", ["/good", "/moved"])
def test_weights_are_fetched_once_and_verified(server: str, store: Path, path: str) -> None:
    pullable(store, server + path)
    seen: list[tuple[int, int | None]] = []
    model = zoo.pull("far", progress=lambda size, total: seen.append((size, total)))
    assert model.path is not None
    assert model.path.read_bytes() == MODEL
    assert seen[-1] == (len(MODEL), len(MODEL))
    assert zoo.load("far").name == "far"
    seen.clear()
    zoo.pull("far", progress=lambda size, total: seen.append((size, total)))
    assert seen == []
    assert names(store) == ["far.onnx", "far.toml"]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        pytest.param("/other", "brought another file than far: 19 bytes", id="another file"),
        pytest.param("/short", "broke off after 100 of", id="half a file"),
        pytest.param("/none", "the server answers 404 Not Found", id="not found"),
    ],
)
def test_a_download_that_fails_leaves_nothing(server: str, store: Path, path: str, problem: str) -> None:
    pullable(store, server + path)
    with pytest.raises(zoo.PullError) as caught:
        zoo.pull("far")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names(store) == ["far.toml"]


def test_without_a_network_it_says_so(store: Path) -> None:
    with socket.socket() as unused:  # bound, but nobody listens
        unused.bind(("127.0.0.1", 0))
        pullable(store, f"http://127.0.0.1:{unused.getsockname()[1]}/good")
        with pytest.raises(zoo.PullError, match=r"cannot be reached: Connection refused.*models add FILE"):
            zoo.pull("far")
    assert names(store) == ["far.toml"]


def test_a_server_that_says_nothing_is_left(store: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        pullable(store, f"http://127.0.0.1:{silent.getsockname()[1]}/good")
        with pytest.raises(zoo.PullError, match="no answer in time"):
            zoo.pull("far", timeout_s=0.2)


def test_a_card_without_an_address_cannot_be_pulled(store: Path) -> None:
    written(store, "far.toml", card_text(name="far", sha256=SHA256))
    with pytest.raises(ModelError, match="names no address"):
        zoo.pull("far")


def test_a_bad_card_in_the_store_is_named(store: Path) -> None:
    written(store, "far.toml", card_text(name="near"))
    with pytest.raises(ModelError, match=r"far\.toml: name is 'near'"):
        zoo.load("far")
