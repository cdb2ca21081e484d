"""A model card: what a file of weights takes in, what it gives out, whose it is and where to get it.

A card is a closed TOML record. Cards of known models lie in ``models/cards``; a card for one's own model is
written beside it (docs/models.md).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from models.detections import KINDS, Kind

HeadKind = Literal["detr", "yolox", "ultralytics", "ultralytics_end2end"]
Label = Annotated[str, Field(min_length=1, max_length=60)]
Side = Annotated[int, Field(ge=32, le=4096)]
Share = Annotated[float, Field(ge=0, le=1)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

_KIND_OF_LABEL: dict[str, Kind] = {
    "person": "pedestrian",
    "pedestrian": "pedestrian",
    "people": "pedestrian",
    "bicycle": "bicycle",
    "bike": "bicycle",
    "cyclist": "bicycle",
    "motorcycle": "motorcycle",
    "motorbike": "motorcycle",
    "motorcyclist": "motorcycle",
    "car": "car",
    "van": "car",
    "bus": "bus",
    "truck": "truck",
    "lorry": "truck",
}

# What tells who somebody is: faces and plates in any spelling ("licence-plate", "LicensePlate", "human
# face"), but neither a road's surface nor a template; parts of a face; what people are sorted by; classes
# that are persons ("person_0412", as re-identification numbers them).
_WHO = re.compile(
    r"(?<!sur)(?<!inter)(?<!type)face(?!t)|facial|(?<!tem)plate(?!au)|licen[cs]e|number ?tag|vehicle tag"
    r"|registration|\b(?:a[nl]pr|lpr?|vrn|vin)\b|^(human |person )?head$"
    r"|gesicht|visage|cara\b|rostro|viso\b|kennzeichen|nummernschild|matr[ií]cula|immatriculation|targa\b"
    r"|\b(?:eyes?|iris|pupil|nose|mouth|lips|ears?|portrait|mugshot|fingerprint|gait)\b"
    r"|\b(?:gender|male|female|man|men|woman|women|boy|girl|ethnicity|race|skin|identity|reid|re id)\b"
    r"|^(?:person|people|pedestrian|human|subject|id|identity|name) ?\d+$"
)


class ModelError(ValueError):
    """A model, a card or a request for one that cannot be used; ``problems`` holds one line per mistake."""

    def __init__(self, problems: Iterable[str] | str) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


def refused_labels(labels: Iterable[str]) -> list[str]:
    """Return the labels that would tell who somebody is: faces and plates."""
    return [label for label in labels if _WHO.search(re.sub(r"[\W_]+", " ", label).strip().lower())]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Input(_Record):
    """How an image becomes the network's input.

    A value of the input is ``(pixel / divide - mean) / std``, channel by channel in the order of ``colour``.
    ``letterbox`` keeps the aspect and fills the rest with ``pad``; ``stretch`` fills the input whole.
    """

    width: Side
    height: Side
    colour: Literal["rgb", "bgr"]
    divide: Annotated[float, Field(gt=0, le=65536)]
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    resize: Literal["stretch", "letterbox"]
    anchor: Literal["top_left", "centre"] = "top_left"
    pad: Annotated[int, Field(ge=0, le=255)] = 114

    @field_validator("std")
    @classmethod
    def _divides(cls, std: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(std) <= 0:
            raise ValueError("a standard deviation must be greater than 0")
        return std


class Head(_Record):
    """What the network's outputs mean (docs/models.md has each in full)."""

    kind: HeadKind
    strides: Annotated[tuple[Annotated[int, Field(ge=2, le=256)], ...], Field(min_length=1, max_length=6)] = (
        8,
        16,
        32,
    )


class Thresholds(_Record):
    """Below ``score`` a box is not reported; of two boxes of like kind over ``nms_iou`` the better stays."""

    score: Annotated[float, Field(gt=0, lt=1)] = 0.25
    nms_iou: Annotated[float, Field(gt=0, le=1)] = 0.5


class Origin(_Record):
    """Where the weights come from; without ``url`` they cannot be pulled, only added by hand."""

    repository: Annotated[str, Field(max_length=200)] = ""
    file: Annotated[str, Field(max_length=200)] = ""
    upstream: Annotated[str, Field(max_length=200)] = ""
    url: Annotated[str, Field(max_length=500)] | None = None
    url_checked: bool = False

    @field_validator("url")
    @classmethod
    def _travels_safely(cls, url: str | None) -> str | None:
        if url is not None and not re.match(
            r"https://[^/\s]+/\S+$|http://(127\.0\.0\.1|localhost)[:/]\S+$", url
        ):
            raise ValueError("an address starts with https:// (http:// on this machine only)")
        return url


class Accuracy(_Record):
    """Average precision as published or measured; None is unknown."""

    coco_ap: Share | None = None
    pets_person_ap50: Share | None = None


class Card(_Record):
    """One model."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")]
    licence: Annotated[str, Field(min_length=1, max_length=60)]
    sha256: Hash | None = None
    labels: Literal["coco80"] | Annotated[tuple[Label, ...], Field(min_length=1, max_length=2000)]
    kinds: dict[Label, Kind] = {}
    input: Input
    head: Head
    thresholds: Thresholds = Thresholds()
    source: Origin = Origin()
    accuracy: Accuracy = Accuracy()

    @property
    def label_names(self) -> tuple[str, ...]:
        return coco80() if self.labels == "coco80" else tuple(self.labels)

    @property
    def kind_of_class(self) -> tuple[int, ...]:
        """Index into ``KINDS`` for each class of the model; -1 for what is no road user and stays inside."""
        kind_of = _KIND_OF_LABEL | {label.lower(): kind for label, kind in self.kinds.items()}
        return tuple(
            KINDS.index(kind_of[label.lower()]) if label.lower() in kind_of else -1
            for label in self.label_names
        )

    @field_validator("name")
    @classmethod
    def _not_built_in(cls, name: str) -> str:
        if name == "motion":
            raise ValueError("'motion' is the built-in detector that needs no weights")
        return name

    @model_validator(mode="after")
    def _road_users_only(self) -> Self:
        refused = refused_labels((*self.label_names, *self.kinds))
        if refused:
            raise ValueError(
                f"class {', '.join(map(repr, refused))} would tell who somebody is: nearmiss refuses models "
                "that see faces or plates"
            )
        names = [label.lower() for label in self.label_names]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"the label {', '.join(doubled)} stands for more than one class")
        strangers = [label for label in self.kinds if label.lower() not in names]
        if strangers:
            raise ValueError(f"kinds names {', '.join(strangers)}, which is not among the labels")
        if max(self.kind_of_class) < 0:
            raise ValueError(f"no label is a road user ({', '.join(KINDS)}); name them under [kinds]")
        return self


def read_card(text: str, *, origin: str) -> Card:
    """Return the card that a TOML text holds.

    Args:
        origin: what to call the text in messages, usually its path.

    Raises:
        ModelError: with one line per mistake (place, what came, what was expected), all at once.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ModelError(f"{origin}: not a TOML file: {error}") from error
    try:
        # Through JSON, so that strict mode takes lists for tuples yet no "1.5" for 1.5.
        return Card.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        raise ModelError(_lines(origin, error)) from error


def card_toml(card: Card) -> str:
    """Return the TOML text of a card, which reads as the same card again."""
    lines: list[str] = []
    tables: list[str] = []
    for name, value in card.model_dump(mode="json", exclude_none=True).items():
        if isinstance(value, dict):
            if value:
                tables += [
                    "",
                    f"[{name}]",
                    *(f"{_key(key)} = {json.dumps(each)}" for key, each in value.items()),
                ]
        else:
            lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join([*lines, *tables]) + "\n"


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


@cache
def coco80() -> tuple[str, ...]:
    """Return the 80 classes of COCO in the order in which detectors trained on it number them."""
    return tuple(files("models").joinpath("cards", "coco80.txt").read_text("utf-8").splitlines())


@cache
def shipped_cards() -> dict[str, Card]:
    """Return the cards that come with nearmiss, by name."""
    folder = files("models").joinpath("cards")
    texts = {
        entry.name: entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".toml")
    }
    cards = (read_card(text, origin=name) for name, text in sorted(texts.items()))
    return {card.name: card for card in cards}


def _lines(origin: str, error: ValidationError) -> list[str]:
    lines = []
    for mistake in error.errors(include_url=False):
        place = ".".join(str(part) for part in mistake["loc"]) or "the card"
        text = repr(mistake["input"])
        shown = "" if mistake["type"] == "missing" or not mistake["loc"] else f" (came: {text[:60]})"
        lines.append(f"{origin}: {place}: {mistake['msg'].removeprefix('Value error, ')}{shown}")
    return lines
