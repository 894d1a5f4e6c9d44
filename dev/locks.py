"""Lock files for builds that can be repeated, without the address of a registry.

    python dev/locks.py write     # dev/locks/*.txt anew, from pyproject.toml and Cargo.toml; needs uv and cargo
    python dev/locks.py restore   # Cargo.lock from dev/locks/crates.lock, for `--locked` of cargo and maturin

`demo.txt` and `dev.txt` in dev/locks are for `pip install --require-hashes -r dev/locks/demo.txt`.
Cargo's own lock names its registry in each package; here a word stands for it, and cargo says which one it means on
this machine.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "dev" / "locks"
CRATES = LOCKS / "crates.lock"
SOURCE = re.compile(r'^source = "(registry\+[^"]+|sparse\+[^"]+)"$', re.M)
WORD = 'source = "the registry of crates"'


def write() -> None:
    sys.path.insert(0, str(ROOT / "dev"))
    from set_up import extra

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    LOCKS.mkdir(exist_ok=True)
    base = [*project["build-system"]["requires"], *project["project"]["dependencies"], *extra(project, "demo")]
    for name, wanted in (
        ("demo", base),
        ("dev", [*base, *extra(project, "all"), *project["dependency-groups"]["dev"]]),
    ):
        command = ["uv", "pip", "compile", "-", "--quiet", "--universal", "--python-version", "3.11",
                   "--generate-hashes",
                   "--no-emit-index-url", "--no-annotate", "--no-header", "-o", str(LOCKS / f"{name}.txt")]  # fmt: skip
        subprocess.run(command, input="\n".join(wanted), text=True, check=True, cwd=ROOT)
    subprocess.run(["cargo", "generate-lockfile"], check=True, cwd=ROOT)
    CRATES.write_text(SOURCE.sub(WORD, (ROOT / "Cargo.lock").read_text(encoding="utf-8")), encoding="utf-8")


def restore() -> None:
    """Cargo's lock, with the registry that cargo means here."""
    target = ROOT / "Cargo.lock"
    if not target.exists():
        subprocess.run(["cargo", "generate-lockfile"], check=True, cwd=ROOT)
    found = SOURCE.search(target.read_text(encoding="utf-8"))
    if found is None:
        sys.exit("Cargo.lock names no registry: remove it and run this again")
    target.write_text(CRATES.read_text(encoding="utf-8").replace(WORD, found[0]), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] not in (["write"], ["restore"]):
        sys.exit("usage: python dev/locks.py write|restore")
    write() if sys.argv[1] == "write" else restore()
