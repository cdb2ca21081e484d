"""`nearmiss evaluate`: matching, scores with intervals, and mistakes by name."""

from __future__ import annotations

import itertools
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.wire import LocalEvent
from edge.cli import main
from edge.errors import InputError
from edge.evaluate import as_document, evaluate, load_events, run
from edge.evaluation_picture import drawn
from edge.matching import matched


def event(
    time: float,
    rule: str = "red_light_entry",
    *,
    place: str = "A",
    user: str = "car",
    user2: str | None = None,
    outcome: str = "occurred",
    site: str = "cross",
) -> LocalEvent:
    record = {
        "v": 1, "n": 1, "site": site, "node": "judge", "rule": rule, "outcome": outcome,
        "time": datetime.fromtimestamp(time, UTC).isoformat(), "time_sigma_s": 0.01, "place": place,
        "road_user": user, "signal": None, "measures": {}, "clip": None, "detector": "sumo",
        "software": "nearmiss 0.1.0",
    }  # fmt: skip
    if user2 is not None:
        record["road_user2"] = user2
    return LocalEvent.model_validate_json(json.dumps(record))


def counts(
    found: list[LocalEvent], truth: list[LocalEvent], rule: str = "red_light_entry"
) -> tuple[int, ...]:
    tally = evaluate(found, truth).scores[rule].tally
    return tally.hits, tally.false_alarms, tally.misses, tally.undecidable_truths, tally.undecidable_others


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [
        pytest.param([event(1.0)], [event(1.2)], (1, 0, 0, 0, 0), id="a hit"),
        pytest.param([event(1.0)], [event(1.5)], (1, 0, 0, 0, 0), id="at the tolerance"),
        pytest.param([event(1.0)], [event(1.51)], (0, 1, 1, 0, 0), id="beyond it"),
        pytest.param([event(1.0)], [], (0, 1, 0, 0, 0), id="a false alarm"),
        pytest.param([], [event(1.0)], (0, 0, 1, 0, 0), id="a miss"),
        pytest.param([event(1.0), event(1.1)], [event(1.0)], (1, 1, 0, 0, 0), id="found twice"),
        pytest.param([event(1.0)], [event(1.0, place="B")], (0, 1, 1, 0, 0), id="another place"),
        pytest.param([event(1.0)], [event(1.0, user="bus")], (0, 1, 1, 0, 0), id="another road user"),
        pytest.param(
            [event(1.0, outcome="undecidable")], [event(1.0)], (0, 0, 0, 1, 0), id="undecidable is no miss"
        ),
        pytest.param([event(1.0, outcome="undecidable")], [], (0, 0, 0, 0, 1), id="nor a false alarm"),
        pytest.param(
            [event(1.0)],
            [event(1.0, outcome="undecidable")],
            (0, 0, 0, 0, 0),
            id="an undecidable truth excuses",
        ),
        pytest.param(
            [event(1.0), event(1.1, outcome="undecidable")],
            [event(1.05)],
            (1, 0, 0, 0, 1),
            id="an occurred one is matched first",
        ),
    ],
)
def test_matching(found: list[LocalEvent], truth: list[LocalEvent], expected: tuple[int, ...]) -> None:
    assert counts(found, truth) == expected


def test_of_all_matchings_the_one_with_most_pairs() -> None:
    """Nearest first would pair 1.0 with 0.9 and leave 0.6 and 1.4 alone."""
    assert matched([0.6, 1.0], [0.9, 1.4], tolerance_s=0.5) == [(0, 0), (1, 1)]


@settings(max_examples=150)
@given(
    found=st.lists(st.floats(0, 4), max_size=5).map(sorted),
    truth=st.lists(st.floats(0, 4), max_size=5).map(sorted),
)
def test_the_matching_is_the_best_there_is(found: list[float], truth: list[float]) -> None:
    """Against all matchings there are."""
    pairs = matched(found, truth, tolerance_s=0.5)
    assert all(abs(found[a] - truth[b]) <= 0.5 + 1e-9 for a, b in pairs)
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
    best = (0, 0.0)
    short, long = sorted((found, truth), key=len)
    for chosen in itertools.permutations(range(len(long)), len(short)):
        apart = [abs(short[a] - long[b]) for a, b in enumerate(chosen) if abs(short[a] - long[b]) <= 0.5]
        best = max(best, (len(apart), -sum(apart)))
    assert len(pairs) == best[0]
    assert sum(abs(found[a] - truth[b]) for a, b in pairs) == pytest.approx(-best[1], abs=1e-9)


def test_near_misses_match_whoever_came_first() -> None:
    found = [event(1.0, "near_miss", user="pedestrian", user2="car")]
    truth = [event(1.1, "near_miss", user="car", user2="pedestrian")]
    assert counts(found, truth, "near_miss") == (1, 0, 0, 0, 0)


def test_scores_and_curve() -> None:
    found = [event(float(n)) for n in range(0, 16, 2)] + [event(100.0), event(50.9)]
    truth = [event(n + 0.1) for n in range(0, 16, 2)] + [event(50.0), event(200.0)]
    evaluation = evaluate(found, truth)
    score = evaluation.scores["red_light_entry"]
    assert score.precision.value == pytest.approx(0.8)
    assert score.recall.value == pytest.approx(0.8)
    assert score.f1.value == pytest.approx(0.8)
    assert score.precision.low is not None
    assert score.precision.high is not None
    assert 0.4 <= score.precision.low < 0.8 < score.precision.high <= 1.0
    by_tolerance = [evaluation.curve[each]["all"].tally.hits for each in (0.2, 0.5, 1.0, 2.0)]
    assert by_tolerance == [8, 8, 9, 9]


def test_intervals_are_drawn_by_recording_where_there_are_several() -> None:
    """One site is perfect, the other all wrong: the interval must span from one to the other."""
    found = [event(float(n), site="good") for n in range(50)] + [
        event(float(n), site="bad") for n in range(50)
    ]
    truth = [event(float(n), site="good") for n in range(50)]
    score = evaluate(found, truth).scores["all"]
    assert (score.precision.low, score.precision.high) == (0.0, 1.0)
    assert as_document(evaluate(found, truth))["intervals"]["by"] == "recording"  # type: ignore[index]
    assert evaluate(found, truth).scores == evaluate(found, truth).scores


def test_false_alarms_per_hour_where_the_hours_are_known() -> None:
    evaluation = evaluate([event(1.0), event(2.0)], [], hours=0.5)
    assert evaluation.false_alarms_per_hour("all") == 4.0
    assert evaluate([event(1.0)], []).false_alarms_per_hour("all") is None


def written(path: Path, events: list[LocalEvent]) -> Path:
    path.write_bytes(b"".join(each.encode() + b"\n" for each in events))
    return path


def test_the_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = written(tmp_path / "found.jsonl", [event(1.0), event(9.0)])
    truth = written(tmp_path / "truth.jsonl", [event(1.3)])
    assert run(found, truth=truth, tolerance_s=0.5, as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    rule = document["rules"]["red_light_entry"]
    assert (rule["hits"], rule["false_alarms"], rule["misses"], rule["truth"]) == (1, 1, 0, 1)
    assert rule["precision"]["value"] == 0.5
    assert rule["time_error_s"]["median"] == 0.3
    assert [each["tolerance_s"] for each in document["curve"]] == [0.2, 0.5, 1.0, 2.0]
    assert document["curve"][0]["all"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_the_command_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = written(tmp_path / "found.jsonl", [event(1.0)])
    truth = written(tmp_path / "truth.jsonl", [event(1.0)])
    assert run(found, truth=truth, tolerance_s=0.5, as_json=False) == 0
    text = capsys.readouterr().out
    assert "red_light_entry" in text
    assert "1.000 [1.000, 1.000]" in text


def test_empty_files_have_no_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = written(tmp_path / "empty.jsonl", [])
    assert run(empty, truth=empty, tolerance_s=0.5, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["all"]["precision"]["value"] is None


def test_a_truth_need_not_say_how_it_was_found(tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    truth.write_text(
        '{"v":1,"site":"cross","rule":"red_light_entry","time":"1970-01-01T00:00:01Z","place":"A","road_user":"car"}\n'
    )
    found = written(tmp_path / "found.jsonl", [event(1.0)])
    assert run(found, truth=truth, tolerance_s=0.5, as_json=True) == 0
    with pytest.raises(InputError):
        load_events(truth)


def test_every_mistake_of_both_files_is_named(tmp_path: Path) -> None:
    found, truth = tmp_path / "found.jsonl", tmp_path / "truth.jsonl"
    good = event(1.0).encode().decode()
    found.write_text(
        good + "\nnot json\n[1]\n"
        + good.replace('"red_light_entry"', '"speeding"') + "\n"
        + good.replace('"v":1', '"v":1,"plate":"B-XY 1"') + "\n"
    )  # fmt: skip
    truth.write_text(good.replace("1970-01-01T00:00:01.000Z", "yesterday") + "\n")
    with pytest.raises(InputError) as error:
        run(found, truth=truth, tolerance_s=0.5, as_json=False)
    lines = [line.replace(str(found), "found").replace(str(truth), "truth") for line in error.value.problems]
    assert [line.split(": ")[0] for line in lines] == ["found:2", "found:3", "found:4", "found:5", "truth:1"]
    assert "not JSON" in lines[0]
    assert "expected an object" in lines[1]
    assert "rule" in lines[2]
    assert "plate" in lines[3]
    assert "time" in lines[4]


def test_the_picture_is_an_svg_and_the_same_each_time() -> None:
    found = [event(float(n)) for n in range(5)] + [event(7.0, "near_miss", user2="car")]
    evaluation = evaluate(found, found[1:])
    svg = drawn(evaluation)
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "red light entry" in svg
    assert drawn(evaluation) == svg


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["nearmiss", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_page_holds_the_picture_and_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    true = [event(float(n)) for n in range(0, 50, 10)]
    found = written(tmp_path / "found.jsonl", [*true[:4], event(25.0)])
    truth, page = written(tmp_path / "truth.jsonl", true), tmp_path / "page.html"
    arguments = ("evaluate", found, "--truth", truth, "--hours", "2", "--report", page, "--json")
    assert typed(monkeypatch, *arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["all"]["false_alarms_per_hour"] == 0.5
    text = page.read_text()
    assert text.count("<svg") == 1 and "<?xml" not in text
    row = re.search(r"<tr><th scope=\"row\">red light entry</th>(.*?)</tr>", text, re.DOTALL)
    assert row is not None
    cells = re.findall(r"<td class=\"num\">(.*?)</td>", row[1])
    assert cells[:5] == ["5", "4", "1", "1", "0 + 0"] and cells[-1] == "0.50"
    assert cells[5].startswith("0.800 (")
    assert not re.search(r"(?:src|href)=\"(?!#)", text.replace('xlink:href="#', "")), "nothing from elsewhere"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["found.jsonl", "page.html", "truth.jsonl"]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (("--hours", "0"), "--hours: 0 is not a number of hours above 0"),
        (("--report", "truth.jsonl"), "--report: truth.jsonl is one of the files that are read"),
        (("--report", "nowhere/page.html"), "--report: nowhere/page.html: No such file or directory"),
    ],
)
def test_a_page_that_cannot_be_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, str],
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    written(Path("found.jsonl"), [event(1.0)])
    before = written(Path("truth.jsonl"), [event(1.0)]).read_text()
    assert typed(monkeypatch, "evaluate", "found.jsonl", "--truth", "truth.jsonl", *more) == 2
    assert capsys.readouterr().err.splitlines() == [f"nearmiss: {problem}"]
    assert Path("truth.jsonl").read_text() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["found.jsonl", "truth.jsonl"]
