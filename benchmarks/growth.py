"""Plots how the core's cost grows with vocabulary, pattern and text, from criterion's figures.

cargo bench --package rellm-core
uv run --no-project --with matplotlib python benchmarks/growth.py      writes benchmarks/growth.svg
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import NullFormatter

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "target" / "criterion"
SIZES = {"32k": 32_000, "131k": 131_072, "262k": 262_144}


def microseconds(group: str, function: str, value: str) -> float | None:
    """Criterion's estimate of one benchmark, if it was run."""
    path = FIGURES / group / function / value / "new" / "estimates.json"
    if not path.exists():
        return None
    return json.loads(path.read_text())["median"]["point_estimate"] / 1e3


def line(axes: plt.Axes, group: str, function: str, values: dict[str, int], label: str) -> None:
    """One line: a benchmark over its parameter."""
    found = [(x, microseconds(group, function, value)) for value, x in values.items()]
    points = [(x, y) for x, y in found if y is not None]
    if points:
        axes.plot(*zip(*points, strict=True), marker="o", markersize=4, linewidth=1.2, label=label)


def main() -> int:
    if not FIGURES.exists():
        print("there are no figures: run `cargo bench --package rellm-core` first", file=sys.stderr)
        return 1
    plt.rcParams.update({"svg.hashsalt": "rellm", "font.size": 8})
    figure, grid = plt.subplots(2, 3, figsize=(12, 7))
    names = sorted(path.name for path in (FIGURES / "cold mask").iterdir() if path.name != "report")
    for axes, group in zip(grid.flat, ("compile", "cold mask", "warm mask"), strict=False):
        for name in names:
            line(axes, group, name, SIZES, name)
        axes.set_title(f"{group} by vocabulary")
        axes.set_xlabel("tokens")
    vocabulary, pattern, text = grid.flat[3:]
    for function in ("build", "load"):
        line(vocabulary, "vocabulary", function, SIZES, function)
    line(vocabulary, "trie walk", "whole trie", SIZES, "walk of the whole trie")
    vocabulary.set_title("vocabulary")
    vocabulary.set_xlabel("tokens")
    counts = {str(n): n for n in (10, 100, 1000, 5000)}
    for function in ("compile", "first mask"):
        line(pattern, "pattern size", function, counts, function)
    pattern.set_title("alternation, by its words")
    pattern.set_xlabel("words")
    line(text, "text length", "warm step", {str(n): n for n in (10, 100, 1000, 10_000)}, "advance and mask")
    text.set_title("one step, by what is written")
    text.set_xlabel("tokens written")
    text.set_ylim(0, 1.3 * text.dataLim.ymax)
    for axes in grid.flat:
        axes.set_xscale("log")
        if axes is not text:
            axes.set_yscale("log")
            axes.margins(y=0.25)  # room for the legend
        if axes.get_xlabel() == "tokens":
            axes.set_xticks(list(SIZES.values()), list(SIZES))
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel("µs")
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.legend(fontsize=7, frameon=False)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(ROOT / "benchmarks" / "growth.svg", metadata={"Date": None})
    return 0


if __name__ == "__main__":
    sys.exit(main())
