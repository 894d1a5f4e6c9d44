"""Plots of a run.

python -m comparison.plot FOLDER      reads results.json, writes requests.svg and steps.svg beside it
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

COLOURS = {
    "rellm": "#d1495b",
    "llguidance": "#30638e",
    "outlines_core": "#8f6b32",
    "xgrammar": "#3a7d44",
    "glrmask": "#7b4fa0",
    "lm_format_enforcer": "#777777",
    "rellm_original": "#c9a227",
    "maskforge": "#2a9d8f",
}
_MARKERS = {
    "rellm": "o",
    "llguidance": "s",
    "outlines_core": "^",
    "xgrammar": "D",
    "glrmask": "v",
    "lm_format_enforcer": "P",
    "rellm_original": "X",
}


def main() -> None:
    folder = Path(sys.argv[1])
    results = json.loads((folder / "results.json").read_text())
    names = [c["name"] for c in results["cases"]]
    _draw(
        results,
        names,
        "request",
        "median",
        "one whole request: compile and every mask (CPU time, µs)",
        folder / "requests.svg",
    )
    _draw(
        results,
        names,
        "cold",
        "median",
        "next mask and advance, first time (median over the sample, CPU time, µs)",
        folder / "steps.svg",
    )


def _draw(results: dict, names: list[str], key: str, value: str, title: str, path: Path) -> None:
    plt.rcParams["svg.hashsalt"] = "rellm"
    figure, axes = plt.subplots(figsize=(9, 0.36 * len(names) + 1.8))
    for engine, found in results["engines"].items():
        for right, fill in ((True, COLOURS[engine]), (False, "none")):
            points = [
                (max(cell[key][value], 0.05), len(names) - 1 - names.index(name))
                for name, cell in found["cells"].items()
                if cell.get("status") == "ok" and (cell["verdict"] != "wrong") == right
            ]
            if points:
                xs, ys = zip(*points, strict=True)
                label = engine.replace("_", "-") if right else None
                axes.scatter(
                    xs,
                    ys,
                    s=46,
                    marker=_MARKERS[engine],
                    facecolor=fill,
                    edgecolor=COLOURS[engine],
                    label=label,
                    zorder=3,
                )
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names[::-1])
    axes.grid(axis="both", color="#dddddd", linewidth=0.6)
    axes.set_xlabel(f"{title}; hollow: wrong masks", fontsize=9)
    axes.legend(fontsize=8, ncols=4, loc="lower center", bbox_to_anchor=(0.45, 1.0), frameon=False)
    save(figure, axes, path)


def save(figure: plt.Figure, axes: plt.Axes, path: Path) -> None:
    """Writes a figure without a frame, the same bytes for the same numbers."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
