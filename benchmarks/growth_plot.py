"""Plot of the growth benchmark: what an event and a read cost against how many events are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

PANELS: Final = (
    ("events_per_s", "events/s"),
    ("batch_read_ms", "reads of a batch, ms"),
    ("summaries_p99_ms", "summaries, p99 ms at 100/s"),
    ("history_p99_ms", "history, p99 ms at 100/s"),
    ("recommend_p99_ms", "recommend, p99 ms at 100/s"),
    ("disk_bytes_per_event", "bytes on disk per event"),
)
COLOURS: Final = {"uniform": "#1f6feb", "skewed": "#c2410c"}
STYLES: Final = {"rapport": "-", "bare": ":"}


def draw_growth(path: Path, points: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> None:
    """Draw the points as an SVG, and those of an earlier run, if any, pale beside them."""
    with mpl.rc_context({"svg.fonttype": "none", "font.size": 9, "svg.hashsalt": "growth"}):
        figure = Figure(figsize=(11, 6), layout="constrained")
        for axes, (name, title) in zip(figure.subplots(2, 3).flat, PANELS, strict=True):
            for rows, alpha, label in ((before, 0.35, " before"), (points, 1.0, "")):
                _draw_lines(axes, rows, name, alpha, label)
            axes.set_title(title, loc="left")
            axes.set_xlabel("million events stored")
            axes.set_ylim(bottom=0)
            axes.set_xlim(left=0)
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
        figure.axes[0].legend(frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _draw_lines(axes: Axes, rows: Sequence[Mapping[str, Any]], name: str, alpha: float, label: str) -> None:
    for skew, colour in COLOURS.items():
        for system, style in STYLES.items():
            found = [(row["events"] / 1e6, row[name]) for row in rows if (row["skew"], row["system"]) == (skew, system)]
            line = [(events, value) for events, value in found if value is not None]
            if line:
                events, values = zip(*line, strict=True)
                axes.plot(
                    events,
                    values,
                    style,
                    color=colour,
                    alpha=alpha,
                    marker="o",
                    markersize=3,
                    label=f"{system} {skew}{label}",
                )
