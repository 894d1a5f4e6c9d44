"""`make modes`: the matrix of modes, pass or fail a cell, beside the same matrix with other libraries' processors.

    python tests/modes/report.py                 # rellm on every family, and what peers install
    python tests/modes/report.py --no-peers gpt2 # rellm on one

Peers are tried on one family, each in an environment of its own that uv makes (`.venv-xgrammar`, …).
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
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEER_PACKAGES = {"xgrammar": ["xgrammar"], "outlines-core": ["outlines", "outlines-core"]}
PEER_FAMILY = "gpt2"

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def outcomes(engine: str, name: str) -> dict[str, str]:
    """What became of each mode: ok, n/a, wrong (a text outside the constraint) or the error's name."""
    sys.path.insert(0, str(HERE))
    from matrix import MODES, Case, Engine, Unsupported, family
    from peers import PEERS

    case = Case(family(name), PEERS[engine]() if engine in PEERS else Engine())
    found = {}
    for mode, run in MODES.items():
        try:
            with contextlib.redirect_stdout(sys.stderr):
                run(case)
        except Unsupported:
            found[mode] = "n/a"
        except AssertionError:
            found[mode] = "wrong"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            found[mode] = type(error).__name__
        else:
            found[mode] = "ok"
        print(f"{engine} on {name}: {mode}: {found[mode]}", file=sys.stderr)
    return found


def of_peer(engine: str) -> dict[str, str] | str:
    """The same from the peer's own environment, or why there is none."""
    uv = shutil.which("uv")
    if uv is None:
        return "uv is not installed"
    folder = ROOT / f".venv-{engine.partition('-')[0]}"
    python = folder / "bin" / "python"
    if not python.exists():
        packages = ["torch", "transformers", "peft", "regex", "numpy", "pytest", *PEER_PACKAGES[engine]]
        for command in (
            [uv, "venv", "-q", "--python", f"{sys.version_info[0]}.{sys.version_info[1]}", str(folder)],
            [uv, "pip", "install", "-q", "-p", str(python), *packages],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return f"does not install: {done.stderr.strip().splitlines()[-1:]}"
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
    cells: dict[str, str] = json.loads(lines[-1])
    return cells


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

    columns: dict[str, dict[str, str]] = {}
    for name in arguments.families or [*FAMILIES, REAL]:
        columns[f"rellm/{name}"] = outcomes("rellm", name)
    notes = []
    for engine in [] if arguments.no_peers else PEER_PACKAGES:
        found = of_peer(engine)
        if isinstance(found, str):
            notes.append(f"{engine}: {found}")
        else:
            columns[f"{engine}/{PEER_FAMILY}"] = found
    width = max(map(len, MODES)) + 2
    print(" " * width + "  ".join(columns))
    for mode in MODES:
        print(
            mode.ljust(width) + "  ".join(cells[mode][: len(head)].ljust(len(head)) for head, cells in columns.items())
        )
    for note in notes:
        print(note)
    ours = [cells for head, cells in columns.items() if head.startswith("rellm/")]
    return int(any(cell not in ("ok", "n/a") for cells in ours for cell in cells.values()))


if __name__ == "__main__":
    sys.exit(main())
