"""Plots of a run of `benchmarks/json_schema.py`: how many schemas are done within a time, by engine.

python -m comparison.json_plot RESULTS FOLDER      writes json_first.svg and json_requests.svg
"""

import json
import sys
from pathlib import Path

from comparison.json_report import request
from comparison.plot import COLOURS, plt, save


def main() -> None:
    results, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    firsts = {
        name: [row["first"] / 1e6 for row in engine["rows"] if "first" in row]
        for name, engine in results["engines"].items()
    }
    requests = {
        name: [cost for row in engine["rows"] if "first" in row and (cost := request(row)) is not None]
        for name, engine in results["engines"].items()
    }
    size = results["schemas"]
    _draw(firsts, size, "first mask, front end and compile included (CPU time, ms)", folder / "json_first.svg")
    _draw(requests, size, "first mask and 200 steps (CPU time, ms)", folder / "json_requests.svg")


def _draw(values: dict[str, list[float]], size: int, title: str, path: Path) -> None:
    plt.rcParams["svg.hashsalt"] = "rellm"
    figure, axes = plt.subplots(figsize=(8, 4))
    for engine, costs in values.items():
        costs = sorted(costs)
        shares = [100 * (i + 1) / size for i in range(len(costs))]
        axes.plot(costs, shares, color=COLOURS[engine], label=engine.replace("_", "-"), linewidth=1.8)
    axes.set_xscale("log")
    axes.set_ylim(0, 100)
    axes.grid(axis="both", color="#dddddd", linewidth=0.6)
    axes.set_xlabel(title, fontsize=9)
    axes.set_ylabel("% of the schemas within that time", fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    save(figure, axes, path)


if __name__ == "__main__":
    main()
