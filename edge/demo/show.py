"""`nearmiss demo`: draw the story, send it down the line and over the chain, and compare with the truth."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from broker.wire import LocalEvent
from edge.analyze import NODE, Outcome, analyze
from edge.chain import LocalChain
from edge.demo.compare import compared, print_comparison
from edge.demo.junction import START
from edge.demo.recording import open_recording, write_recording
from edge.demo.setting import SETTINGS, Setting
from edge.demo.story import DURATION_S, PLAN, TEMPTATIONS, actors
from edge.demo.truth import TrueEvent, as_records, true_events
from edge.results import Results

DRAIN_TIMEOUT_S = 60.0


def run(*, out: Path, serve: bool, port: int, gif: Path | None, setting: str = "afternoon") -> int:
    """Show the whole chain on the drawn junction; return 0 only if found and truth agree.

    Args:
        out: folder for the recording, its site, signals and truth, the results and the chain's stores.
        serve: keep the review page up on loopback afterwards.
        gif: also write the README's picture there.
        setting: which of ``SETTINGS`` to film in.
    """
    console, began = Console(), time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    true = _film(out, SETTINGS[setting], console)
    drawn = time.monotonic()
    inputs = open_recording(out)
    with LocalChain(out, site=inputs.site, node=NODE) as chain:
        with inputs.source, Results(out) as results:
            outcome = analyze(inputs, results)
            results.keep()
        stored = over_the_chain(chain, outcome, out)
        took = time.monotonic() - began
        start_time = datetime.fromisoformat(START).timestamp()
        comparison = compared(true, stored, start_time=start_time)
        print_comparison(comparison, start_time=start_time, console=console)
        console.print(
            f"{len(true)} true events and {len(TEMPTATIONS)} temptations in {DURATION_S:.0f} s of street: "
            f"{sum(row.verdict == 'found' for row in comparison.rows)} found, "
            f"{sum(row.verdict == 'claimed' for row in comparison.rows)} claimed in error."
        )
        console.print(
            f"Drawn in {drawn - began:.0f} s, judged, sent and stored in {took - (drawn - began):.0f} s; "
            f"{len(stored)} events receipted by the collector."
        )
        console.print(f"Report: {out / 'report.html'}")
        if gif is not None:
            from edge.demo.gif import write_gif

            write_gif(gif, out=out, setting=SETTINGS[setting])
            console.print(f"Picture: {gif}")
        if serve:
            chain.serve(port)
    return 0 if comparison.agrees else 1


def _film(out: Path, setting: Setting, console: Console) -> list[TrueEvent]:
    """Write the recording and what belongs to it; return what truly happens in it."""
    true = true_events(actors(), PLAN)
    lines = [record.encode() for record in as_records(true, PLAN)]
    (out / "truth.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    with Progress(
        TextColumn("drawing the junction"), BarColumn(), TimeElapsedColumn(), console=console, transient=True
    ) as progress:
        write_recording(out, setting, PLAN, watched=progress.track)
    return true


def over_the_chain(chain: LocalChain, outcome: Outcome, out: Path) -> list[LocalEvent]:
    """Publish what was found, wait for receipts; return what the collector stored, with exact times."""
    from broker.drawing import Plate

    plate = out / "plate.json"
    if plate.exists():
        chain.publish_plate(Plate.decode(plate.read_bytes().strip()))
    sent = {
        chain.publish(event, outcome.clips.get(event.clip) if event.clip is not None else None): event
        for event in outcome.events
    }
    chain.publish_counts(outcome.exposures)
    chain.drain(DRAIN_TIMEOUT_S)
    # An event on the wire tells only its bin; its exact time stays in events.jsonl.
    return [sent[event.id] for event in chain.stored_events() if event.id in sent]
