"""``nearmiss models``: what it prints and how it ends."""

from __future__ import annotations

import hashlib
import http.server
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.models.graphs import card_text, constant_model

MODEL = constant_model({"output0": np.zeros((1, 6, 20), np.float32)})


def nearmiss(*arguments: str, store: Path, home: Path) -> tuple[int, list[str], list[str]]:
    """Run the command line as a user would; return its exit code, output and errors."""
    done = subprocess.run(
        [sys.executable, "-c", "from edge.cli import main; main()", "models", *arguments],
        cwd=ROOT,
        env={"NEARMISS_MODELS": str(store), "HOME": str(home), "PATH": "/usr/bin:/bin", "no_proxy": "*"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def test_a_model_of_ones_own_from_file_to_list(tmp_path: Path) -> None:
    store = tmp_path / "store"
    file, card = tmp_path / "mine.onnx", tmp_path / "mine.toml"
    file.write_bytes(MODEL)
    card.write_text(card_text(name="crossing-v2"))

    code, out, err = nearmiss("add", str(file), store=store, home=tmp_path)
    assert (code, out, len(err)) == (2, [], 1)
    assert "give it with --card" in err[0]

    code, out, err = nearmiss("add", str(file), "--card", str(card), store=store, home=tmp_path)
    assert (code, err) == (0, [])
    assert out == [f"crossing-v2: {store / 'crossing-v2.onnx'}, sha256 verified, MIT"]

    code, out, err = nearmiss("list", store=store, home=tmp_path)
    rows = {line.split()[0]: line.split()[1:] for line in out[1:] if line}
    assert (code, err) == (0, [])
    assert list(rows)[:5] == ["motion", "deimv2-atto", "deimv2-femto", "yolox-nano", "crossing-v2"]
    assert rows["crossing-v2"][:4] == ["yes", "64×64", "–", "MIT"]
    assert rows["deimv2-femto"][:4] == ["no", "416×416", "31.0", "Apache-2.0"]
    assert rows["motion"][:2] == ["built", "in"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["pull", "nope"], "model 'nope' is not known", id="pull an unknown name"),
        pytest.param(["pull", "motion"], "'motion' is built in", id="pull what needs no weights"),
        pytest.param(["add", "no.onnx"], "no.onnx: cannot be read: No such file", id="add no file"),
        pytest.param(
            ["evaluate", "deimv2-femto", "--video", "v.mp4", "--truth", "t.xml"],
            "t.xml: cannot be read: No such file",
            id="evaluate without a truth",
        ),
        pytest.param(
            ["export", "README.md", "--sha256", "00", "--name", "mine"],
            "not opened",
            id="export an unknown file",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments: Sequence[str], says: str, tmp_path: Path) -> None:
    code, out, err = nearmiss(*arguments, store=tmp_path / "store", home=tmp_path)
    assert (code, out, len(err)) == (2, [], 1), err
    assert says in err[0]


def test_pull_ends_with_1_and_one_line_where_the_server_has_another_file(tmp_path: Path) -> None:
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(MODEL if self.path == "/good" else b"junk")

        def log_message(self, format: str, *args: object) -> None:
            pass

    store = tmp_path / "store"
    store.mkdir()
    sha256 = hashlib.sha256(MODEL).hexdigest()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            for path, expected in (("/bad", 1), ("/good", 0)):
                url = f'[source]\nurl = "http://127.0.0.1:{listening.server_address[1]}{path}"'
                (store / "far.toml").write_text(card_text(name="far", sha256=sha256, more=url))
                code, out, err = nearmiss("pull", "far", store=store, home=tmp_path)
                assert code == expected, err
                assert (store / "far.onnx").exists() is (expected == 0)
                assert (len(out), len(err)) == ((0, 1) if expected else (1, 0))
        finally:
            listening.shutdown()
            thread.join()
