"""Compares rellm with every peer, in one run, and judges it against its goals.

    python benchmarks/compare.py             everything; about a quarter of an hour
    python benchmarks/compare.py --quick     few patterns and engines, no goals: does it run, and are the masks right?

Each engine is installed from its own release into an environment of its own under target/benchmarks, and measured in a
process of its own: the same vocabulary, patterns, sample texts and token ids, in CPU time. Its masks are compared with
an oracle's first. Results go to benchmarks/RESULTS.md, results.json and two plots. Exit code 1: a goal is missed or a
mask of rellm is wrong.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from comparison import environments, goals, machine, measure, report

HERE = Path(__file__).resolve().parent
PEERS = ["llguidance", "outlines_core", "xgrammar", "glrmask", "lm_format_enforcer", "rellm_original"]
QUICK_PEERS = ["llguidance"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="few patterns and engines; nothing is written or judged by time"
    )
    parser.add_argument("--engines", nargs="+", metavar="NAME", help=f"rellm and any of: {', '.join(PEERS)}")
    parser.add_argument(
        "--keep",
        nargs="+",
        metavar="NAME",
        default=[],
        help="engines whose cells are taken from the last results, and marked so",
    )
    parser.add_argument("--cases", nargs="+", metavar="NAME", help="only these patterns, by name")
    parser.add_argument("--repeats", type=int, default=5, help="repeats of what is fast enough (default: 5)")
    parser.add_argument(
        "--limit", type=float, default=20.0, metavar="SECONDS", help="CPU time a cell may take (default: 20)"
    )
    parser.add_argument(
        "--rellm-python", type=Path, metavar="PATH", help="an interpreter that has rellm already, in place of a build"
    )
    parser.add_argument(
        "--out", type=Path, default=None, metavar="FOLDER", help="where results go (default: benchmarks/)"
    )
    options = parser.parse_args()

    engines = options.engines or ["rellm", *(QUICK_PEERS if options.quick else PEERS)]
    whole = not (options.quick or options.engines or options.cases)
    out = options.out or (HERE if whole else HERE.parent / "target" / "benchmarks" / "partial")
    began = time.monotonic()

    measured = [e for e in engines if e not in options.keep or e == "rellm"]
    pythons = environments.create(HERE.parent, measured, options.rellm_python, with_torch=not options.quick)
    data = environments.ROOT / "data"
    cases = measure.prepare(pythons["tools"], data, options.cases, options.quick)
    results = {
        "machine": machine.describe(HERE.parent),
        "repeats": options.repeats,
        "limit_seconds": options.limit,
        "cases": [{k: c[k] for k in ("name", "pattern", "sample")} | {"tokens": len(c["ids"])} for c in cases],
        "engines": {},
    }
    before = json.loads((out / "results.json").read_text()) if options.keep else {}
    # First of all, while the machine is quiet: some of them are wall times.
    if "rellm" in engines:
        results["figures"] = measure.figures(pythons["rellm"], data, options.quick)
    for engine in engines:
        if engine in options.keep:
            kept = before["engines"][engine]
            results["engines"][engine] = {"measured": before["machine"]["date"], **kept}
            continue
        results["engines"][engine] = measure.engine(
            pythons[engine],
            engine,
            data,
            [c["name"] for c in cases],
            1 if options.quick else options.repeats,
            options.limit,
        )
    results["minutes"] = round((time.monotonic() - began) / 60, 1)

    judged = goals.judge(results) if "rellm" in engines else []
    results["goals"] = [g.as_dict() for g in judged]
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    text = report.markdown(results)
    (out / "RESULTS.md").write_text(text)
    print(text)
    if not options.quick:
        measure.plot(pythons["tools"], out)
    print(f"written to {out}", file=sys.stderr)
    wrong = [
        c for c, cell in results["engines"].get("rellm", {}).get("cells", {}).items() if cell.get("verdict") != "exact"
    ]
    if wrong:
        print(f"rellm's masks are not the oracle's: {', '.join(wrong)}", file=sys.stderr)
        return 1
    if options.quick:
        return 0
    missed = [g for g in judged if not g.met]
    for goal in missed:
        print(f"missed: {goal.figure}: {goal.got}, goal {goal.goal}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
