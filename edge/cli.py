"""The command line: every command is a thin door that imports what it needs when it is opened.

A group of commands has a file of its own, ``cli_GROUP.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edge.cli_audit import audit_app
from edge.cli_broker import broker_app
from edge.cli_models import models_app
from edge.cli_privacy import hold, privacy
from edge.cli_report import publish, report_app
from edge.cli_study import study
from edge.cli_user import user_app
from edge.cli_webhooks import webhooks_app

app = typer.Typer(
    name="nearmiss",
    help="What happens at an intersection, where and when, never who.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# What `nearmiss --help` puts together, in the order a newcomer needs it.
RECORDED = "Recorded video and trajectories"
SITES = "A site"
LIVE = "Cameras and a collector"
COLLECTOR = "What a collector holds"
PUBLISHED = "Statistics"
TOOLS = "Detectors and measurements"

SiteOption = Annotated[Path, typer.Option("--site", help="Site file (site.toml).")]
SignalsOption = Annotated[Path | None, typer.Option("--signals", help="Signal states (signals.csv).")]
StartOption = Annotated[
    str | None, typer.Option("--start", help="UTC time of the recording's time 0, RFC 3339.")
]


def _version(wanted: bool) -> None:
    if wanted:
        from edge import __version__

        typer.echo(f"nearmiss {__version__}")
        raise typer.Exit


@app.callback()
def _nearmiss(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(rich_help_panel=RECORDED)
def demo(
    serve: Annotated[bool, typer.Option(help="Keep the review page up afterwards, on loopback.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the review page.")] = 8080,
    out: Annotated[Path, typer.Option(help="Folder for the video, the events and the report.")] = Path(
        "demo"
    ),
    gif: Annotated[Path | None, typer.Option(help="Also write the README's picture here.")] = None,
) -> None:
    """The whole chain on a drawn intersection with known truth; exits 0 only if all of it is found."""
    from edge.demo import run

    raise typer.Exit(run(out=out, serve=serve, port=port, gif=gif))


@app.command(rich_help_panel=RECORDED)
def analyze(
    video: Annotated[Path, typer.Argument(help="A recording.")],
    site: SiteOption,
    out: Annotated[Path, typer.Option(help="Folder for events.jsonl, tracks.csv, clips/ and report.html.")],
    signals: SignalsOption = None,
    model: Annotated[str, typer.Option(help="A detector of `nearmiss models list`, or a path.")] = "motion",
    provider: Annotated[str | None, typer.Option(help="ONNX Runtime provider; an error if missing.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the detector.")] = None,
    start: StartOption = None,
    times: Annotated[Path | None, typer.Option(help="Capture time of each frame, a line a frame.")] = None,
    clips: Annotated[str, typer.Option(help="scene, schematic or none.")] = "scene",
    gate: Annotated[
        str | None,
        typer.Option(help="on: the detector looks only where something may have changed; or off."),
    ] = None,
    crop: Annotated[
        str | None,
        typer.Option(help="on: the detector is shown only the part with the site's places; or off."),
    ] = None,
) -> None:
    """Recorded video to events, tracks, clips and a report."""
    from edge.analyze import run

    raise typer.Exit(
        run(
            video,
            site=site,
            signals=signals,
            model=model,
            provider=provider,
            threads=threads,
            out=out,
            start=start,
            times=times,
            clips=clips,
            gate=gate,
            crop=crop,
        )
    )


@app.command(rich_help_panel=RECORDED)
def judge(
    tracks: Annotated[Path, typer.Argument(help="Trajectories from any tracker (tracks.csv or .csv.gz).")],
    site: SiteOption,
    out: Annotated[Path, typer.Option(help="Where events.jsonl is written.")],
    signals: SignalsOption = None,
    start: StartOption = None,
) -> None:
    """The rules alone, on trajectories from any tracker."""
    from edge.judge import run

    raise typer.Exit(run(tracks, site=site, signals=signals, out=out, start=start))


@app.command(rich_help_panel=RECORDED)
def evaluate(
    events: Annotated[Path, typer.Argument(help="events.jsonl to be judged.")],
    truth: Annotated[Path, typer.Option(help="events.jsonl that is true.")],
    tolerance: Annotated[float, typer.Option(min=0.0, help="Largest time difference, seconds.")] = 0.5,
    hours: Annotated[
        float | None, typer.Option(help="Hours of recording: gives false alarms an hour.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Also write a page with the picture (HTML).")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Precision, recall and F1 per rule, with intervals."""
    from edge.evaluate import run

    raise typer.Exit(
        run(events, truth=truth, tolerance_s=tolerance, as_json=json, hours=hours, report=report)
    )


@app.command(rich_help_panel=SITES)
def calibrate(
    video: Annotated[Path, typer.Argument(help="A recording of the camera.")],
    site: SiteOption,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page, on loopback.")] = 8090,
    aerial: Annotated[Path | None, typer.Option(help="A plan or aerial picture (PNG, JPEG, WebP).")] = None,
    tracks: Annotated[Path | None, typer.Option(help="tracks.csv to replay on the plan.")] = None,
    model: Annotated[
        str | None, typer.Option(help="A detector that masks who stands still in the background.")
    ] = None,
) -> None:
    """The page that makes a site file: metres from point pairs, stop lines, crosswalks, signal heads."""
    from edge.calibrate import run

    raise typer.Exit(run(video, site=site, port=port, aerial=aerial, tracks=tracks, model=model))


@app.command(rich_help_panel=SITES)
def check(
    file: Annotated[Path, typer.Argument(help="A site, node or collector file.")],
    picture: Annotated[
        Path | None, typer.Option(help="Also draw the site: image and plan, no video (PNG).")
    ] = None,
) -> None:
    """Lint a site, node or collector file: every mistake at once."""
    from edge.check import run

    raise typer.Exit(run(file, picture=picture))


@app.command("run", rich_help_panel=LIVE)
def run_node(
    node: Annotated[Path, typer.Argument(help="node.toml")],
    camera: Annotated[str | None, typer.Option(help="Run this one of several cameras alone.")] = None,
) -> None:
    """The node: detect, judge, redact and publish; a process for each of several cameras."""
    from edge.daemon import run

    raise typer.Exit(run(node, camera=camera))


@app.command(rich_help_panel=LIVE)
def collect(collector: Annotated[Path, typer.Argument(help="collector.toml")]) -> None:
    """The collector: store events, send receipts, show the review page."""
    from broker.collector.serve import run

    raise typer.Exit(run(collector))


@app.command(rich_help_panel=COLLECTOR)
def backup(
    collector: Annotated[Path, typer.Argument(help="collector.toml")],
    out: Annotated[Path, typer.Argument(help="A file to write; it must not be there.")],
) -> None:
    """Every row of a collector's store in one file, while it runs; never a clip."""
    from edge.keep_commands import backup

    raise typer.Exit(backup(collector, out))


@app.command(rich_help_panel=COLLECTOR)
def restore(
    collector: Annotated[Path, typer.Argument(help="collector.toml, of an empty store")],
    file: Annotated[Path, typer.Argument(help="What `nearmiss backup` wrote.")],
) -> None:
    """A backup into an empty store, SQLite or PostgreSQL."""
    from edge.keep_commands import restore

    raise typer.Exit(restore(collector, file))


@app.command(rich_help_panel=TOOLS)
def bench(
    data: Annotated[Path | None, typer.Option(help="Folder with weights and recordings.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    only: Annotated[
        str | None, typer.Option(help="One section alone; a name that is none lists them.")
    ] = None,
    events: Annotated[int | None, typer.Option(min=1, help="intake: how many events.")] = None,
    picture: Annotated[Path | None, typer.Option(help="speed: write its stages as an SVG.")] = None,
) -> None:
    """Speed and accuracy on real recordings, as ratios measured in one run."""
    from edge.bench import run

    raise typer.Exit(run(data=data, as_json=json, only=only, events=events, picture=picture))


app.command(rich_help_panel=RECORDED)(study)
app.command(rich_help_panel=LIVE)(privacy)
app.add_typer(broker_app, name="broker", rich_help_panel=LIVE)
app.add_typer(user_app, name="user", rich_help_panel=LIVE)
app.command(rich_help_panel=COLLECTOR)(hold)
app.add_typer(audit_app, name="audit", rich_help_panel=COLLECTOR)
app.command("publish", rich_help_panel=PUBLISHED)(publish)
app.add_typer(report_app, name="report", rich_help_panel=PUBLISHED)
app.add_typer(webhooks_app, name="webhooks", rich_help_panel=PUBLISHED)
app.add_typer(models_app, name="models", rich_help_panel=TOOLS)


# What a base install lacks, by the extra that brings it; others are told where they are wanted.
EXTRAS = {
    "collector": (
        *("alembic", "amqtt", "argon2", "babel", "cryptography", "fastapi", "httpx", "PIL"),
        *("prometheus_client", "python_multipart", "sqlalchemy", "uvicorn", "zxcvbn"),
    ),
    "postgres": ("psycopg",),
}


def _extra(error: ModuleNotFoundError) -> str | None:
    missing = (error.name or "").partition(".")[0]
    return next((extra for extra, modules in EXTRAS.items() if missing in modules), None)


def main() -> None:
    """Run the command line: exit 0 done, 1 the answer is no, 2 usage or bad input."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        extra = _extra(error)
        if extra is None:
            raise
        typer.echo(f"nearmiss: this needs {error.name}: pip install 'nearmiss[{extra}]'", err=True)
        sys.exit(2)
    except Exception as error:  # re-raised unless it is one a user can mend
        problems = getattr(error, "problems", None)
        if not problems:
            raise
        for problem in problems:
            typer.echo(f"nearmiss: {problem}", err=True)
        sys.exit(2)
