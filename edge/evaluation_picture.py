"""An evaluation as a picture: precision and recall per rule with intervals, F1 along the tolerance."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge.evaluate import Evaluation
    from edge.matching import Share


def drawn(evaluation: Evaluation) -> str:
    """Return an SVG without time, creator or random ids: the same evaluation draws the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rules = list(evaluation.scores)
    settings: Any = {"svg.hashsalt": "nearmiss", "svg.fonttype": "none", "font.size": 9}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(9, 1.2 + 0.42 * len(rules)), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[3, 2])
        for offset, name, colour in ((-0.14, "precision", "#1b6ca8"), (0.14, "recall", "#c2571a")):
            for row, rule in enumerate(rules):
                share: Share = getattr(evaluation.scores[rule], name)
                if share.value is None or share.low is None or share.high is None:
                    continue
                left.plot([share.low, share.high], [row + offset] * 2, color=colour, linewidth=2, alpha=0.5)
                left.plot(share.value, row + offset, "o", color=colour, label=name if row == 0 else None)
        left.set_yticks(range(len(rules)), [rule.replace("_", " ") for rule in rules])
        left.invert_yaxis()
        left.set_xlim(-0.02, 1.02)
        left.set_title(f"within ± {evaluation.tolerance_s:g} s")
        left.grid(axis="x", alpha=0.3)
        if left.get_legend_handles_labels()[1]:
            left.legend(loc="lower left")
        for rule in rules:
            points = [
                (tolerance, scores[rule].f1.value)
                for tolerance, scores in evaluation.curve.items()
                if scores[rule].f1.value is not None
            ]
            if points:
                right.plot(*zip(*points, strict=True), marker=".", label=rule.replace("_", " "))
        right.set_ylim(-0.02, 1.02)
        right.set_xlabel("tolerance, s")
        right.set_title("F1")
        right.grid(alpha=0.3)
        if right.get_legend_handles_labels()[1]:
            right.legend(loc="lower right", fontsize=8)
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue()
