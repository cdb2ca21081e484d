"""`nearmiss evaluate`: how well the events found agree with the true ones."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from pydantic import ValidationError

from broker.wire import RULES, LocalEvent, each_name_once
from edge.errors import InputError
from edge.matching import LEVEL, RESAMPLES, SEED, Score, Share, Tally, recording_of, scored, tallies
from edge.signals.lines import Problems, shortened, text_lines

CURVE_S = (0.2, 0.5, 1.0, 2.0)
# An event is some seven hundred characters.
LONGEST_LINE = 100_000
ALL = "all"
# Further apart than this, two events are not the same by any account.
MOST_TOLERANCE_S = 3600.0


@dataclass(frozen=True)
class Evaluation:
    """Scores per rule and over all, at one tolerance and along the curve.

    Attributes:
        scores: by rule, in the order of the contract, then ``all``.
        curve: by tolerance, then by rule.
        recordings: how many sites the events come from; intervals are by recording from two on.
        hours: of recording, where known.
    """

    tolerance_s: float
    scores: dict[str, Score]
    curve: dict[float, dict[str, Score]]
    recordings: int
    hours: float | None = None

    def false_alarms_per_hour(self, rule: str) -> float | None:
        """Return false alarms per camera-hour; None where the hours are not known."""
        return None if not self.hours else self.scores[rule].tally.false_alarms / self.hours


def run(
    events: Path,
    *,
    truth: Path,
    tolerance_s: float,
    as_json: bool,
    hours: float | None = None,
    report: Path | None = None,
) -> int:
    """Print precision, recall and F1 per rule, and write them as a page where one is wanted.

    Args:
        hours: of recording the events come from, summed over cameras: gives false alarms an hour.

    Raises:
        InputError: every mistake in both files at once, or a page that cannot be written.
    """
    if hours is not None and not 0 < hours < math.inf:
        raise InputError(f"--hours: {hours:g} is not a number of hours above 0")
    if report is not None and report.resolve() in (events.resolve(), truth.resolve()):
        raise InputError(f"--report: {report} is one of the files that are read")
    if not tolerance_s <= MOST_TOLERANCE_S:
        raise InputError(f"--tolerance: {tolerance_s:g} is not between 0 and {MOST_TOLERANCE_S:g} seconds")
    found, true = load_both(events, truth)
    for doubt in _doubts(found, true):
        typer.echo(f"nearmiss: warning: {doubt}", err=True)
    evaluation = evaluate(found, true, tolerance_s=tolerance_s, hours=hours)
    if report is not None:
        from edge.evaluation_report import write

        try:
            write(report, evaluation, events=events.name, truth=truth.name, level=LEVEL)
        except OSError as error:
            raise InputError(f"--report: {report}: {error.strerror or error}") from error
    if as_json:
        typer.echo(json.dumps(as_document(evaluation), indent=2))
    else:
        _print(evaluation)
    return 0


def evaluate(
    found: Sequence[LocalEvent],
    truth: Sequence[LocalEvent],
    *,
    tolerance_s: float = 0.5,
    hours: float | None = None,
) -> Evaluation:
    """Return the scores of some events against the true ones.

    Source: one-to-one matching within a tolerance in time as in event detection, such as Mesaros, Heittola &
    Virtanen, Metrics for polyphonic sound event detection, Applied Sciences 6 (2016); cluster bootstrap:
    Efron & Tibshirani, An Introduction to the Bootstrap (1993).
    """
    names = sorted({recording_of(event) for event in (*found, *truth)})
    curve = {each: _scores(found, truth, each, names) for each in CURVE_S}
    return Evaluation(
        tolerance_s=tolerance_s,
        scores=curve.get(tolerance_s) or _scores(found, truth, tolerance_s, names),
        curve=curve,
        recordings=len(names),
        hours=hours,
    )


def _scores(
    found: Sequence[LocalEvent], truth: Sequence[LocalEvent], tolerance_s: float, recordings: Sequence[str]
) -> dict[str, Score]:
    counts = tallies(found, truth, tolerance_s=tolerance_s)
    by_rule: dict[str, dict[str, Tally]] = defaultdict(dict)
    total = {recording: Tally() for recording in recordings}
    for (recording, rule), tally in counts.items():
        by_rule[rule][recording] = tally
        total[recording].add(tally)
    seen = [rule for rule in RULES if rule in by_rule]
    return {rule: scored(by_rule[rule]) for rule in seen} | {ALL: scored(total)}


def _doubts(found: Sequence[LocalEvent], truth: Sequence[LocalEvent]) -> Iterator[str]:
    ours, theirs = ({recording_of(event) for event in events} for events in (found, truth))
    if ours and theirs and not ours & theirs:
        yield (
            f"the events are of {', '.join(sorted(ours))}, the truth is of {', '.join(sorted(theirs))}: "
            "only events of the same site are matched"
        )


def load_both(events: Path, truth: Path) -> tuple[list[LocalEvent], list[LocalEvent]]:
    """Read both files.

    Raises:
        InputError: every mistake in both at once.
    """
    mistakes: list[str] = []
    loaded: list[list[LocalEvent]] = []
    for path, given in ((events, {}), (truth, _UNTOLD)):
        try:
            loaded.append(load_events(path, untold=given))
        except InputError as error:
            mistakes += error.problems
    if mistakes:
        raise InputError(mistakes)
    return loaded[0], loaded[1]


# What a truth need not say: it knows what happened, where, when and who, not how it was found out.
_UNTOLD: dict[str, object] = {
    "outcome": "occurred",
    "node": "truth",
    "time_sigma_s": None,
    "signal": None,
    "measures": {},
    "clip": None,
    "detector": "truth",
    "software": "nearmiss 0.0.0",
}


def load_events(path: Path, *, untold: dict[str, object] | None = None) -> list[LocalEvent]:
    """Read a file of events, one a line; ``untold`` fills fields a line leaves out.

    Raises:
        InputError: every mistake, as ``file:line: field: what came, what was expected``.
    """
    problems = Problems(path)
    events: list[LocalEvent] = []
    for number, text in text_lines(path, problems, longest=LONGEST_LINE):
        if not text.strip():
            continue
        if not events and not problems and text.strip() in ("{", "["):
            problems.add(number, "an event over several lines, expected one event a line")
            break
        try:
            record = json.loads(text, object_pairs_hook=each_name_once)
            if not isinstance(record, dict):
                problems.add(number, f"{shortened(record)} is not an event, expected an object")
                continue
            if untold:
                record = {**untold, "n": number, **record}
            event = LocalEvent.model_validate_json(json.dumps(record))
            if event.rule == "near_miss" and event.road_user2 is None:
                problems.add(number, "road_user2: missing, and a near miss has two road users")
                continue
            events.append(event)
        except RecursionError:
            problems.add(number, "not an event: nested too deeply")
        except KeyError as error:
            problems.add(number, f"not JSON: {error.args[0]!r:.40} stands twice")
        except ValidationError as error:
            for mistake in error.errors(include_url=False):
                place = ".".join(str(part) for part in mistake["loc"]) or "event"
                came = "" if mistake["type"] == "missing" else f" (came: {shortened(mistake['input'])})"
                problems.add(number, f"{place}: {mistake['msg'].removeprefix('Value error, ')}{came}")
        except ValueError as error:
            problems.add(number, f"not JSON: {error}")
    problems.raise_if_any()
    return events


def as_document(evaluation: Evaluation) -> dict[str, object]:
    """Return an evaluation as JSON types."""
    return {
        "tolerance_s": evaluation.tolerance_s,
        "rules": {
            rule: _score(score, evaluation.false_alarms_per_hour(rule))
            for rule, score in evaluation.scores.items()
            if rule != ALL
        },
        "all": _score(evaluation.scores[ALL], evaluation.false_alarms_per_hour(ALL)),
        "curve": [
            {"tolerance_s": tolerance, **{rule: _brief(score) for rule, score in scores.items()}}
            for tolerance, scores in evaluation.curve.items()
        ],
        "hours": evaluation.hours,
        "intervals": {
            "level": LEVEL,
            "by": "recording" if evaluation.recordings > 1 else "event",
            "recordings": evaluation.recordings,
            "resamples": RESAMPLES,
            "seed": SEED,
        },
    }


def _score(score: Score, alarms_per_hour: float | None) -> dict[str, object]:
    tally = score.tally
    errors = sorted(abs(error) for error in tally.time_errors_s)
    return {
        "truth": tally.hits + tally.misses + tally.undecidable_truths,
        "hits": tally.hits,
        "false_alarms": tally.false_alarms,
        "misses": tally.misses,
        "undecidable": {
            "true": tally.undecidable_truths,
            "other": tally.undecidable_others,
            "excused": tally.excused,
        },
        "precision": _share(score.precision),
        "recall": _share(score.recall),
        "f1": _share(score.f1),
        "time_error_s": {
            "median": round(errors[len(errors) // 2], 4) if errors else None,
            "largest": round(errors[-1], 4) if errors else None,
        },
        "false_alarms_per_hour": None if alarms_per_hour is None else round(alarms_per_hour, 4),
    }


def _brief(score: Score) -> dict[str, float | None]:
    return {
        name: None if share.value is None else round(share.value, 4)
        for name, share in (("precision", score.precision), ("recall", score.recall), ("f1", score.f1))
    }


def _share(share: Share) -> dict[str, float | None]:
    values = {"value": share.value, "low": share.low, "high": share.high}
    return {name: None if value is None else round(value, 4) for name, value in values.items()}


def _print(evaluation: Evaluation) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"matched on rule, place and road user within ± {evaluation.tolerance_s:g} s")
    table.add_column("rule")
    for heading in ("true", "hits", "false", "missed", "undecidable"):
        table.add_column(heading, justify="right")
    for heading in ("precision", "recall", "F1"):
        table.add_column(heading)
    for rule, score in evaluation.scores.items():
        if rule == ALL:
            table.add_section()
        table.add_row(
            rule,
            *score.counted(),
            *(_cell(share) for share in (score.precision, score.recall, score.f1)),
        )
    curve = Table(title="F1 by tolerance")
    curve.add_column("rule")
    for tolerance in evaluation.curve:
        curve.add_column(f"± {tolerance:g} s", justify="right")
    for rule in evaluation.scores:
        values = [scores[rule].f1.value for scores in evaluation.curve.values()]
        curve.add_row(rule, *("–" if value is None else f"{value:.3f}" for value in values))
    console = Console(width=160)
    console.print(table)
    console.print(curve)
    by = (
        f"{evaluation.recordings} recordings drawn"
        if evaluation.recordings > 1
        else "one recording: its events drawn, which is optimistic"
    )
    console.print(f"intervals: {LEVEL:.0%}, bootstrap, {by}. undecidable: of true events + others.")


def _cell(share: Share) -> str:
    if share.value is None or share.low is None or share.high is None:
        return "–"
    return f"{share.value:.3f} [{share.low:.3f}, {share.high:.3f}]"
