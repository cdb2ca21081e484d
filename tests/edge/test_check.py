"""`nearmiss check` tells files apart by what is in them and names every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.check import check, run

SITE = """
[site]
id = "main-5th"
[[stop_lines]]
id = "N"
signal_group = "N"
line = [[-6.4, 13.4], [0.0, 13.4]]
heading_deg = -90.0
"""
NODE = """
[node]
id = "cam-n"
site = "site.toml"
[source]
video = "video.mp4"
start = "2026-11-20T08:15:00Z"
"""
COLLECTOR = """
[broker]
port = 1884
[review]
port = 8081
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("site.toml", SITE), ("node.toml", NODE), ("collector.toml", COLLECTOR)):
        (tmp_path / name).write_text(text)
    (tmp_path / "video.mp4").write_bytes(b"not looked into")
    return tmp_path


def test_an_unknown_key_has_its_nearest_known_one_beside_it(folder: Path) -> None:
    (folder / "site.toml").write_text(SITE.replace("heading_deg", "heading_degrees"))
    (line,) = [line for line in check(folder / "site.toml").mistakes if "Extra inputs" in line]
    assert "stop_lines.0.heading_degrees" in line and "did you mean heading_deg?" in line
    (folder / "collector.toml").write_text("[retention]\nxyzzy = 3\n")
    assert "take it out" in check(folder / "collector.toml").mistakes[0]


def test_a_database_nobody_knows_is_named_without_its_password(folder: Path) -> None:
    (folder / "collector.toml").write_text('[store]\ndatabase = "oracle://me:secret@host/x"\n')
    (line,) = check(folder / "collector.toml").mistakes
    assert "store.database" in line and "expected sqlite://" in line and "host" not in line


def test_a_node_whose_signals_nobody_tells_is_warned(folder: Path) -> None:
    (line,) = check(folder / "node.toml").warnings
    assert "node.toml: signals: no source tells the state of N" in line and "signals.file" in line
    (folder / "signals.csv").write_text("time,signal_group,state\n")
    (folder / "node.toml").write_text(NODE + '[signals]\nfile = "signals.csv"\n')
    assert check(folder / "node.toml").warnings == ()


@pytest.mark.parametrize("what", ["site", "node", "collector"])
def test_a_sound_file_is_named_for_what_it_is(
    folder: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / f"{what}.toml"
    path = path.rename(folder / "config.toml") if what != "site" else path  # by content, not by name
    assert run(path) == 0
    assert f"{path}: a {what} file, no mistakes" in capsys.readouterr().out


def test_a_warning_is_no_mistake(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "site.toml").write_text(SITE.replace('signal_group = "N"\n', ""))
    assert run(folder / "site.toml") == 0
    said = capsys.readouterr()
    assert "no mistakes, 1 warning" in said.out
    assert "warning: " in said.err


@pytest.mark.parametrize(
    ("name", "before", "after", "mistakes"),
    [
        pytest.param(
            "site.toml",
            '"main-5th"',
            '"Main Street"\ncolour = 1',
            ["site.id: ", "site.colour: Extra inputs"],
            id="site: a bad id and an unknown field",
        ),
        pytest.param(
            "site.toml", "-90.0", "0.0", ["heading_deg 0 lies 0° from"], id="site: a heading along the line"
        ),
        pytest.param(
            "site.toml",
            "heading_deg",
            "[ground_plane]\nimage_size = [640, 480]\npoints = []\n#",
            [
                "ground_plane.osd: Field required",
                "ground_plane.points: ",
                "stop_lines.0.heading_deg: Field required",
            ],
            id="site: no osd, no points, no heading",
        ),
        pytest.param(
            "node.toml",
            'video = "video.mp4"',
            'video = "missing.mp4"\ntimes = "missing.log"',
            ["source.video: 'missing.mp4' is no file", "source.times: 'missing.log' is no file"],
            id="node: files that are not there",
        ),
        pytest.param(
            "node.toml",
            '"site.toml"',
            '"other.toml"',
            ["other.toml: cannot be read: No such file"],
            id="node: a site that is not there",
        ),
        pytest.param(
            "node.toml",
            "start =",
            "url =",
            ["source.url: expected one of rtsp://"],
            id="node: a camera's address that is none",
        ),
        pytest.param(
            "node.toml",
            '"2026-11-20T08:15:00Z"',
            '"2026-11-20T08:15:00"\n[clips]\nmode = "video"\n[broker]\nhost = "10.0.0.1"\nport = 0',
            [
                "source.start: lacks its zone",
                "clips.mode: Input should be 'scene', 'schematic' or 'none'",
                "broker.tls: 10.0.0.1 is another machine, reached with TLS only",
                "broker.port: Input should be greater than",
            ],
            id="node: four at once",
        ),
        pytest.param(
            "collector.toml",
            "port = 8081",
            'host = "0.0.0.0"\n[retention]\nevent_d = 365',
            ["review: 0.0.0.0 is reached from other", "retention.event_d: Input should be less than"],
            id="collector: open to all, and kept too long",
        ),
        pytest.param(
            "collector.toml",
            "[review]",
            "[reviews]",
            ["holds broker, reviews; expected a site file"],
            id="a table too many",
        ),
        pytest.param("site.toml", "[site]", "[site", ["not a TOML file"], id="no TOML"),
    ],
)
def test_every_mistake_is_named(
    folder: Path,
    name: str,
    before: str,
    after: str,
    mistakes: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (folder / name).read_text()
    assert before in text
    (folder / name).write_text(text.replace(before, after))
    assert run(folder / name) == 2
    said = capsys.readouterr()
    assert said.out == ""
    for mistake in mistakes:
        assert mistake in said.err
    told = [line for line in said.err.splitlines() if not line.startswith("nearmiss: warning: ")]
    assert len(told) == len(mistakes)
    assert all(str(folder) in line for line in told)


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        pytest.param(b"", "holds nothing; expected", id="an empty file"),
        pytest.param(b"\xff\xfe\x00[site]", "not a TOML file", id="no text"),
        pytest.param(b"x = 1", "holds x; expected a site file", id="something else"),
        pytest.param(b"site = 1", "site: Input should be", id="a site that is no table"),
        pytest.param(b"node = 1", "node: Input should be", id="a node that is no table"),
    ],
)
def test_other_files_are_told_what_is_expected(tmp_path: Path, content: bytes, mistake: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    assert any(mistake in each for each in check(path).mistakes)


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    assert check(tmp_path / "none.toml").mistakes == (
        f"{tmp_path / 'none.toml'}: cannot be read: No such file or directory",
    )
    assert check(tmp_path).mistakes == (f"{tmp_path}: cannot be read: Is a directory",)


def test_the_documented_files_are_sound(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "chain.md").read_text()
    node, collector = (block.partition("```")[0] for block in text.split("```toml\n")[1:3])
    for name, content in (
        ("node.toml", node),
        ("collector.toml", collector),
        ("site.toml", SITE),
        ("recording.mp4", ""),
        ("signals.csv", ""),
    ):
        (tmp_path / name).write_text(content)
    for name in ("node.toml", "collector.toml"):
        assert check(tmp_path / name).mistakes == ()


def test_a_webhook_without_its_secret_is_told(tmp_path: Path) -> None:
    file = tmp_path / "collector.toml"
    file.write_text(
        '[[publication.webhooks]]\nid = "city"\nurl = "https://city.example/in"\nsecret_file = "none"\n'
    )
    verdict = check(file)
    assert verdict.what == "a collector file"
    (mistake,) = verdict.mistakes
    assert "publication.webhooks.city" in mistake and "No such file" in mistake
