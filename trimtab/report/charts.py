"""Charts as SVG that stands inside a page and takes its colours from the page's style."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_MARKERS = "os^DvP*X"
_DASHES = ("-", "--", "-.", ":")
# Colours that matplotlib writes and the page replaces, so that one chart fits light and dark.
_INK, _RULE = "#010203", "#040506"
_SERIES = ("#0a0001", "#0a0002", "#0a0003", "#0a0004", "#0a0005", "#0a0006")
_VARIABLES = {
    _INK: "var(--ink-soft)",
    _RULE: "var(--rule)",
    **{color: f"var(--series-{number})" for number, color in enumerate(_SERIES, start=1)},
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": _RULE,
    "grid.linewidth": 0.6,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 1.7,
    "lines.markersize": 4.5,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One run's values in a chart."""

    label: str
    """Of the legend."""
    points: Sequence[tuple[float, float]] = field(default=())
    """x and y."""


def line_chart(name: str, lines: Sequence[Line], *, x: str, y: str) -> str:
    """Curves; `x` and `y` label the axes, `name` is unique on the page."""

    def draw(axes: Axes) -> None:
        for index, line in enumerate(lines):
            axes.plot(
                [point[0] for point in line.points],
                [point[1] for point in line.points],
                label=line.label,
                color=_SERIES[index % len(_SERIES)],
                linestyle=_DASHES[index % len(_DASHES)],
                marker=_MARKERS[index % len(_MARKERS)] if len(line.points) == 1 else "",
            )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    return _svg(name, draw, x=x, y=y)


def scatter_chart(name: str, lines: Sequence[Line], *, x: str, y: str) -> str:
    """Points, each run with a marker of its own, and the lines on which x and y are 0."""

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=_INK, linewidth=0.8)
        axes.axvline(0, color=_INK, linewidth=0.8)
        for index, line in enumerate(lines):
            axes.plot(
                [point[0] for point in line.points],
                [point[1] for point in line.points],
                label=line.label,
                color=_SERIES[index % len(_SERIES)],
                linestyle="",
                marker=_MARKERS[index % len(_MARKERS)],
                alpha=0.75,
            )

    return _svg(name, draw, x=x, y=y)


def _svg(name: str, draw: Callable[[Axes], None], *, x: str, y: str) -> str:
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(4.9, 3.3), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.ticklabel_format(style="sci", scilimits=(-3, 4))
        figure.legend(loc="outside upper left", ncols=2)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _for_page(name, buffer.getvalue())


def _for_page(name: str, text: str) -> str:
    """The figure as part of a page: ids of its own, the page's colours and font, any width."""
    svg = text[text.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, variable)
    return re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
