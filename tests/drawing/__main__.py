"""`python -m tests.drawing sheets OUT --truth FILE`, then `... score DECISIONS --truth FILE`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Stage and draw the sheets, or score a filled-in form; 1 where agreement is below 90 %."""
    parser = argparse.ArgumentParser(prog="python -m tests.drawing", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    sheets = commands.add_parser("sheets", help="draw the sheets")
    sheets.add_argument("out", type=Path)
    sheets.add_argument("--count", type=int, default=40)
    sheets.add_argument("--seed", type=int, default=20261124)
    score = commands.add_parser("score", help="compare a filled-in decisions.csv with the truth")
    score.add_argument("decisions", type=Path)
    for command in (sheets, score):
        command.add_argument("--truth", type=Path, required=True, help="where the truth is kept")
    given = parser.parse_args()
    return _sheets(given) if given.command == "sheets" else _score(given)


def _sheets(given: argparse.Namespace) -> int:
    from edge.demo.story import actors
    from tests.drawing.claims import chosen
    from tests.drawing.record import recorded
    from tests.drawing.sheets import write_sheets

    # A few more than wanted: where nobody was tracked there is no clip, and no question.
    claims = chosen(actors(), count=given.count + 8, seed=given.seed)
    with tempfile.TemporaryDirectory() as folder:
        found = recorded(claims, Path(folder))
    balanced = []
    for true in (True, False):
        balanced += [each for each in found if each.clip and each.claim.true is true][: given.count // 2]
    kept = [each for each in found if any(each is one for one in balanced)]
    lost = sum(each.clip is None for each in found)
    count = write_sheets(kept, given.out, truth=given.truth)
    print(f"{count} sheets in {given.out}, {lost} claims without a clip; the truth is in {given.truth}")
    return 0


def _score(given: argparse.Namespace) -> int:
    from tests.drawing.score import score

    found = score(given.decisions, given.truth)
    low, high = found.interval
    print(f"{found.right} of {found.sheets} agree: {found.share:.1%} (95 %: {low:.1%} to {high:.1%})")
    for words, numbers in (
        ("unclear", found.unclear),
        ("confirmed, but it did not happen", found.confirmed_wrongly),
        ("rejected, but it happened", found.rejected_wrongly),
    ):
        print(f"{words}: {', '.join(map(str, numbers)) or 'none'}")
    return 0 if found.share >= 0.9 else 1


if __name__ == "__main__":
    sys.exit(main())
