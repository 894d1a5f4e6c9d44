"""`make modes`: the matrix of modes, pass or fail a cell, beside the same matrix with other libraries' processors.

    python tests/modes/report.py                 # rellm on every family, and what peers install
    python tests/modes/report.py --no-peers gpt2 # rellm on one

A cell is ok, n/a (the note under the table says why), or it failed: `wrong` if what was written is not what the
constraint says, `unlike` if it depends on how the model is run, else the name of the error that the library raised.
Every failure has its reason below the table. Peers are tried on one family, each in an environment of its own that uv
makes (`.venv-xgrammar`, …).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import traceback
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEER_PACKAGES = {
    "xgrammar": ["xgrammar"],
    "outlines-core": ["outlines", "outlines-core", "llguidance"],
    "outlines-llguidance": ["outlines", "outlines-core", "llguidance"],
}
PEER_FAMILY = "gpt2"

os.environ.setdefault("HF_HUB_OFFLINE", "1")


Cells = dict[str, tuple[str, str]]


def outcomes(engine: str, name: str) -> Cells:
    """What became of each mode, and why."""
    sys.path.insert(0, str(HERE))
    from matrix import MODES, Case, GeneratorCase, Unsupported, family
    from peers import PEERS

    if engine == "Generator":
        case: Case = GeneratorCase(family(name))
    else:
        case = Case(family(name), PEERS[engine]()) if engine in PEERS else Case(family(name))
    found: Cells = {}
    for mode, run in MODES.items():
        reason = ""
        try:
            with contextlib.redirect_stdout(sys.stderr):
                run(case)
        except Unsupported as error:
            outcome, reason = "n/a", str(error)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            outcome, reason = _failure(error)
        else:
            outcome = "ok"
        found[mode] = outcome, reason
        print(f"{engine} on {name}: {mode}: {outcome} {reason}".rstrip(), file=sys.stderr)
    return found


def _failure(error: BaseException) -> tuple[str, str]:
    """A word for the cell, and the error with the place that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    message = " ".join(str(error).split())
    if isinstance(error, AssertionError) and Path(last.filename).parent == HERE:
        word = "unlike" if " == " in (last.line or "") else "wrong"
        return word, (message or f"not so: {last.line}")[:160]
    place = Path(last.filename)
    where = f"{place.parent.name}/{place.name}:{last.lineno}"
    return type(error).__name__, f"{message or last.line} ({where})"[:200]


def of_peer(engine: str) -> Cells | str:
    """The same from the peer's own environment, or why there is none."""
    uv = shutil.which("uv")
    if uv is None:
        return "uv is not installed"
    folder = ROOT / f".venv-{engine.partition('-')[0]}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        packages = ["torch", "transformers", "peft", "regex", "numpy", "pytest", *PEER_PACKAGES[engine]]
        for command in (
            [uv, "venv", "-q", "--clear", "--python", f"{sys.version_info[0]}.{sys.version_info[1]}", str(folder)],
            [uv, "pip", "install", "-q", "-p", str(python), *packages],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return f"does not install: {done.stderr.strip().splitlines()[-1:]}"
        (folder / "ready").touch()
    import rellm

    done = subprocess.run(
        [str(python), str(HERE / "report.py"), "--cells", engine, PEER_FAMILY],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(rellm.__file__).resolve().parent.parent)},
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return f"does not run: {done.stderr.strip().splitlines()[-1:]}"
    return {mode: (outcome, reason) for mode, (outcome, reason) in json.loads(lines[-1]).items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--cells", metavar="ENGINE", help="print one engine's cells as JSON")
    parser.add_argument("families", nargs="*")
    arguments = parser.parse_args()
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    if arguments.cells:
        print(json.dumps(outcomes(arguments.cells, arguments.families[0])))
        return 0
    sys.path.insert(0, str(HERE))
    from families import FAMILIES, REAL
    from matrix import MODES

    columns: dict[str, Cells] = {}
    for name in arguments.families or [*FAMILIES, REAL]:
        columns[f"rellm/{name}"] = outcomes("rellm", name)
    for name in arguments.families or [*FAMILIES, REAL]:
        columns[f"Generator/{name}"] = outcomes("Generator", name)
    ours = list(columns.values())
    notes = []
    for engine in [] if arguments.no_peers else PEER_PACKAGES:
        found = of_peer(engine)
        if isinstance(found, str):
            notes.append(f"{engine}: {found}")
        else:
            columns[f"{engine}/{PEER_FAMILY}"] = found
    print(table(columns, list(MODES)))
    for note in notes:
        print(note)
    return int(any(outcome not in ("ok", "n/a") for cells in ours for outcome, _ in cells.values()))


def table(columns: dict[str, Cells], modes: list[str]) -> str:
    """A line a mode and a column an engine and family; below it why cells are not ok."""
    first = max(map(len, modes)) + 2
    heads = [head.split("/") for head in columns]
    widths = [
        max(len(part) for part in [*head, *(outcome for outcome, _ in cells.values())]) + 2
        for head, cells in zip(heads, columns.values(), strict=True)
    ]
    lines = [
        " " * first + "".join(head[row].ljust(width) for head, width in zip(heads, widths, strict=True))
        for row in (0, 1)
    ]
    for mode in modes:
        cells = (cells[mode][0].ljust(width) for cells, width in zip(columns.values(), widths, strict=True))
        lines.append((mode.ljust(first) + "".join(cells)).rstrip())
    lines = [line.rstrip() for line in lines]
    why: dict[tuple[str, str, str], list[str]] = {}
    for head, cells_of in columns.items():
        for mode in modes:
            outcome, reason = cells_of[mode]
            if outcome != "ok":
                why.setdefault((head.split("/")[0], outcome, reason), []).append(mode)
    lines.append("")
    for (engine, outcome, reason), where in why.items():
        lines.append(f"{engine}: {outcome}: {', '.join(dict.fromkeys(where))}: {reason}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
