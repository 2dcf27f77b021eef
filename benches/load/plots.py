"""The plots of the page, all in one look."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Points = list[tuple[float, float]]

PAGE = Path(__file__).parents[2] / "docs"
IMAGES = PAGE / "images"
OURS, LIMIT, OTHERS = "#c8553d", "#6b7280", "#588b8b"
LINES = {
    "stapes": OURS,
    "stapes.run": "#7d3a2a",
    "bare": LIMIT,
    "picows+uvloop": "#588b8b",
    "websockets": "#8f6fb0",
    "agents-py": "#d9a441",
    "agents-js": "#4a6fa5",
}

mpl.rcParams["svg.hashsalt"] = "stapes"


def colour(client: str) -> str:
    """Ours, the limit, and the others."""
    if client.startswith("stapes"):
        return OURS
    return LIMIT if client == "bare" else OTHERS


def bars(name: str, title: str, unit: str, values: Mapping[str, Sequence[float]]) -> str:
    """Draws a bar for each client, with a whisker over its repetitions."""
    from statistics import median

    figure, axes = plt.subplots(figsize=(7, 0.6 + 0.36 * len(values)))
    names = list(values)[::-1]
    middles = [median(values[name]) for name in names]
    low = [middle - min(values[name]) for name, middle in zip(names, middles, strict=True)]
    high = [max(values[name]) - middle for name, middle in zip(names, middles, strict=True)]
    axes.barh(
        names,
        middles,
        xerr=[low, high],
        color=[colour(name) for name in names],
        error_kw={"linewidth": 0.8, "ecolor": "#333333"},
    )
    for at, (middle, more) in enumerate(zip(middles, high, strict=True)):
        axes.annotate(
            f" {middle:,.2f}" if middle < 100 else f" {middle:,.0f}",
            (middle + more, at),
            va="center",
            fontsize="small",
        )
    axes.set(xlabel=unit, title=title)
    if max(middles) > 1000:
        axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    return _save(figure, axes, name, legend=False)


def lines(
    name: str,
    title: str,
    labels: tuple[str, str],
    values: Mapping[str, Points],
    *,
    log_y: bool = False,
    limit: float | None = None,
) -> str:
    """Draws a line for each client."""
    figure, axes = plt.subplots(figsize=(7, 4))
    for client, points in values.items():
        xs, ys = zip(*sorted(points), strict=True)
        axes.plot(xs, ys, label=client, color=LINES.get(client), marker="o", markersize=3)
    if limit is not None:
        axes.axhline(limit, color="grey", linewidth=0.6, linestyle="--")
    if log_y:
        axes.set_yscale("log")
    axes.set(xlabel=labels[0], ylabel=labels[1], title=title)
    axes.spines[["top", "right"]].set_visible(False)
    return _save(figure, axes, name, legend=len(values) > 1)


def _save(figure: Figure, axes: Axes, name: str, *, legend: bool) -> str:
    """Gives the Markdown that shows it."""
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    if legend:
        axes.legend(fontsize="small")
    figure.tight_layout()
    IMAGES.mkdir(parents=True, exist_ok=True)
    figure.savefig(IMAGES / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)
    return f"![{axes.get_title()}](images/{name}.svg)"
