"""What the numbers look like."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import letters
import matplotlib as mpl
from cases import CASES
from report import Table

mpl.use("Agg")

import matplotlib.pyplot as plt

OURS, THEIRS, CEILING = "#7a1f1f", "#8a8f98", "#c9b458"
_COLOURS = {"mailer": OURS, "drain": "#b5544f", "source": CEILING}
_LABELS = {case.name: case.label.strip("*") for case in CASES}


def comparison(found: Table, folder: Path) -> None:
    """Rates and CPU time, a column for each distance, a row for each kind."""
    rtts = sorted({key[2] for key in found})
    kinds = [kind for kind in letters.KINDS if any(key[1] == kind for key in found)]
    size = (5.2 * len(rtts), 2.5 * len(kinds))
    figure, axes = plt.subplots(len(kinds), len(rtts), figsize=size, squeeze=False)
    for across, rtt in enumerate(rtts):
        for down, kind in enumerate(kinds):
            rates = {key[0]: one.rate for key, one in found.items() if key[1:] == (kind, rtt)}
            _bars(
                axes[down][across], rates, f"{kind}, {rtt * 1000:.0f} ms RTT", "messages a second"
            )
    _save(figure, folder / "rates.png")
    figure, axes = plt.subplots(1, len(kinds), figsize=(5.2 * len(kinds), 2.7), squeeze=False)
    for across, kind in enumerate(kinds):
        costs = {key[0]: one.cpu_us for key, one in found.items() if key[1:] == (kind, rtts[0])}
        _bars(axes[0][across], costs, kind, "CPU µs a message (producer and workers)")
    _save(figure, folder / "cpu.png")


def _bars(axes: plt.Axes, values: Mapping[str, float], title: str, unit: str) -> None:
    order = sorted((name for name in values if values[name] > 0), key=lambda name: values[name])
    colours = [_COLOURS.get(name, THEIRS) for name in order]
    bars = axes.barh(
        [_LABELS[name] for name in order], [values[name] for name in order], color=colours
    )
    axes.set_xscale("log")
    axes.bar_label(bars, [f"{values[name]:,.0f}" for name in order], padding=3, fontsize=8)
    axes.margins(x=0.3)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(unit, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def curves(
    panels: Sequence[tuple[str, str, str, Mapping[str, Sequence[tuple[float, float]]]]], file: Path
) -> None:
    """One panel for each (title, what grows, what is measured, lines of points)."""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.6 * columns, 3.2 * rows), squeeze=False)
    for place, (title, across, up, lines) in zip(axes.flat, panels, strict=False):
        for label, points in lines.items():
            place.plot(*zip(*points, strict=True), marker="o", markersize=4, label=label)
        place.set_xscale("log")
        place.set_ylim(bottom=0)
        place.set_title(title, fontsize=10)
        place.set_xlabel(across, fontsize=8)
        place.set_ylabel(up, fontsize=8)
        place.tick_params(labelsize=8)
        place.spines[["top", "right"]].set_visible(False)
        if len(lines) > 1:
            place.legend(fontsize=7)
    for place in axes.flat[len(panels) :]:
        place.set_visible(False)
    _save(figure, file)


def _save(figure: plt.Figure, file: Path) -> None:
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)
