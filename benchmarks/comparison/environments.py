"""One environment an engine, made under target/benchmarks, each from the engine's own release."""

import ast
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
ROOT = _HERE.parent.parent / "target" / "benchmarks"
_UV = shutil.which("uv")
"""Without uv, the environments are made by venv and pip, which takes longer."""
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

TOOLS = ["mistral-common", "regex", "numpy", "matplotlib"]
FIGURES = ["mistral-common"]
"""What the figures of rellm alone need beside rellm."""


def requirements(engine: str) -> list[str]:
    """`REQUIREMENTS` of an adapter, read without importing it."""
    tree = ast.parse((_HERE.parent / "engines" / f"{engine}.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "REQUIREMENTS":
            return ast.literal_eval(node.value)
    raise SystemExit(f"benchmarks/engines/{engine}.py has no REQUIREMENTS")


def create(checkout: Path, engines: list[str], rellm_python: Path | None, *, with_torch: bool) -> dict[str, Path]:
    """The interpreter of each engine, and of the tools."""
    unknown = [e for e in engines if not (_HERE.parent / "engines" / f"{e}.py").exists()]
    if unknown:
        raise SystemExit(f"no adapter for {', '.join(unknown)} in benchmarks/engines")
    pythons = {"tools": _environment("tools", TOOLS)}
    for engine in engines:
        if engine != "rellm":
            pythons[engine] = _environment(engine, requirements(engine))
        elif rellm_python:
            pythons[engine] = rellm_python.absolute()
        else:
            extra = [*FIGURES, *(["torch"] if with_torch else [])]
            pythons[engine] = _environment("rellm" + ("-torch" if with_torch else ""), requirements(engine) + extra)
            print("building rellm", file=sys.stderr)
            own = ["--reinstall-package", "rellm-masks", "--refresh-package", "rellm-masks"]
            _install(pythons[engine], [*own, str(checkout)])
    return pythons


def _environment(name: str, packages: list[str]) -> Path:
    folder = ROOT / "environments" / name
    python = folder / "bin" / "python"
    stamp, key = folder / "made-from", hashlib.sha256(repr((packages, PYTHON)).encode()).hexdigest()
    if not (stamp.exists() and stamp.read_text() == key):
        print(f"environment {name}: {' '.join(packages)}", file=sys.stderr)
        if _UV:
            _run([_UV, "--quiet", "venv", "--clear", "--python", PYTHON, str(folder)])
        else:
            _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _install(python, packages)
        stamp.write_text(key)
    return python


def _install(python: Path, packages: list[str]) -> None:
    if _UV:
        _run([_UV, "--quiet", "pip", "install", "--python", str(python), *packages])
        return
    options = {"--reinstall-package": "--force-reinstall", "--refresh-package": "--no-deps"}
    wanted = [options.get(p, p) for p in packages if p != "rellm-masks"]
    _run([str(python), "-m", "pip", "install", "--quiet", *wanted])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
