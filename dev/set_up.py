"""Makes the environment that `make` runs in: `python dev/set_up.py demo|dev`.

Needs Python 3.11, Rust and a package registry, nothing else. Each step remembers what it was made from, so that a
second run does nothing, and a change of the sources or of pyproject.toml does again only what follows from it.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / os.environ.get("VENV", ".venv")
BUILD = ROOT / "build"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
SOURCES = ["Cargo.toml", "pyproject.toml", "README.md", "LICENSE", "crates", "python"]
OLDEST_PYTHON = (3, 11)
OLDEST_RUST = (1, 85)
UV_VERSION = "uv>=0.5"


def main(what):
    check_python()
    import tomllib  # only there from Python 3.11 on, which is checked first

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    builder = project["build-system"]["requires"]
    groups = project["dependency-groups"]
    wanted = builder + project["project"]["dependencies"] + extra(project, "demo")
    if what == "dev":
        wanted += extra(project, "all") + groups["dev"]
    check_rust()
    environment = Environment()
    steps = [("requirements-" + what, wanted, []), ("model", groups["model"], ["--no-deps"])]
    environment.announce(steps)
    for name, requirements, options in steps:
        environment.install(name, requirements, *options)
    environment.install_wheel()


def check_python():
    if sys.version_info < OLDEST_PYTHON:
        stop(
            "Python {}.{} is too old: rellm needs {}.{} or newer".format(*sys.version_info[:2], *OLDEST_PYTHON),
            "install one (on Debian: apt-get install python3) and run: make PYTHON=/path/to/python3",
        )


def check_rust():
    cargo_home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    os.environ["PATH"] += os.pathsep + str(cargo_home / "bin")
    remedy = "install Rust {}.{} or newer from https://rustup.rs and run this again".format(*OLDEST_RUST)
    if not shutil.which("cargo") or not shutil.which("rustc"):
        stop("cargo was not found: rellm has a part in Rust", remedy)
    version = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=False).stdout
    try:
        found = tuple(int(part) for part in version.split()[1].split(".")[:2])
    except (IndexError, ValueError):
        stop("`rustc --version` does not answer", remedy)
    if found < OLDEST_RUST:
        stop("Rust {}.{} is too old".format(*found), remedy)
    if os.name != "nt" and not any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        stop("no C linker (cc) was found: Rust links with it", "on Debian: apt-get install gcc libc6-dev")


def extra(project, name):
    """The requirements of one extra, with the project's own extras in it written out."""
    requirements = []
    for requirement in project["project"]["optional-dependencies"][name]:
        own, bracket, extras = requirement.partition("[")
        if bracket and own == project["project"]["name"]:
            for inner in extras[:-1].split(","):
                requirements += extra(project, inner)
        else:
            requirements.append(requirement)
    return requirements


class Environment:
    """A virtual environment, filled by uv where uv can be had and by pip where not."""

    def __init__(self):
        self.uv = None
        self.torch_index = None
        if not answers([PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]):
            self.create()

    def create(self):
        say("environment", VENV)
        if VENV.exists():
            if not (VENV / "pyvenv.cfg").exists():
                stop(
                    f"{VENV} exists and is not a virtual environment", "move it away, or run: make VENV=another/folder"
                )
            shutil.rmtree(VENV)
        uv = self.find_uv()
        if uv:
            run([*uv, "venv", "--quiet", "--python", sys.executable, VENV], "the environment could not be made")
        else:
            run([sys.executable, "-m", "venv", VENV], "Python cannot make environments", VENV_REMEDY)

    def find_uv(self):
        """The command that starts uv; an empty list where it cannot be had."""
        if self.uv is None:
            self.uv = installed_uv() or bootstrap_uv() or []
            if self.uv:
                use_settings_of_pip()
            else:
                say("uv cannot be had; going on with pip")
        return self.uv

    def announce(self, steps):
        """Says how much will be fetched, before any of it is."""
        steps = [step for step in steps if not self.is_done(*step)]
        if not steps:
            return
        import downloads

        uv = self.find_uv()
        names = [name for name, _, _ in steps]
        torch = [requirement for _, wanted, _ in steps for requirement in wanted if is_torch(requirement)]
        if torch:
            say("looking for how much there is to fetch")
            self.torch_index = downloads.torch_index()
        sizes = {}
        for name, requirements, _ in steps:
            if self.torch_index and name != "model":
                cpu = downloads.to_fetch(uv, PYTHON, torch, self.torch_index) if uv else None
                if cpu is None:
                    self.torch_index = None
                else:
                    rest = [requirement for requirement in requirements if requirement not in torch]
                    found = downloads.to_fetch(uv, PYTHON, rest) if uv else None
                    # What else asks for torch is content with the one that is there by then.
                    sizes |= {k: v for k, v in (found or {}).items() if not FOR_A_GPU.match(k)} | cpu
                    continue
            found = downloads.to_fetch(uv, PYTHON, requirements) if uv else None
            if found is None:
                say("how much this fetches cannot be told without uv; torch for a GPU takes some gigabytes")
                return
            # Without its dependencies, the model is one file.
            sizes |= {k: v for k, v in found.items() if name != "model" or k in requirements[0]}
        say(
            "to fetch for",
            " and ".join(names) + ":",
            downloads.in_words(sizes) + "; what uv has kept is not fetched again",
        )
        if torch and self.torch_index:
            say("torch comes from", self.torch_index, "(there is no GPU in this machine)")

    def is_done(self, name, requirements, options):
        stamp, made_from = VENV / f".{name}", "\n".join([*requirements, *options, sys.version])
        return stamp.exists() and stamp.read_text(encoding="utf-8") == made_from

    def install(self, name, requirements, *options):
        if self.is_done(name, requirements, options):
            return
        stamp, made_from = VENV / f".{name}", "\n".join([*requirements, *options, sys.version])
        torch = [requirement for requirement in requirements if is_torch(requirement)]
        if torch and self.torch_index:
            say("installing torch")
            if not self.try_pip_install(["--index-url", self.torch_index, *torch]):
                say("that index has no torch for this machine; going on with the usual one")
        say("installing", name, f"({len(requirements)} requirements)")
        self.pip_install([*options, *requirements])
        stamp.write_text(made_from, encoding="utf-8")

    def pip_command(self, arguments):
        uv = self.find_uv()
        return [*([*uv, "pip", "install", "--python", PYTHON] if uv else [PYTHON, "-m", "pip", "install"]), *arguments]

    def pip_install(self, arguments):
        run(self.pip_command(arguments), "the packages could not be installed", "is the package registry reachable?")

    def try_pip_install(self, arguments):
        command = list(map(str, self.pip_command(arguments)))
        return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode == 0

    def install_wheel(self):
        """Builds the wheel and installs it: what is tested is what is shipped."""
        stamp, made_from = VENV / ".wheel", hash_of_sources()
        installed = answers(
            [
                PYTHON,
                "-P",
                "-c",
                "import rellm, pathlib; pathlib.Path(rellm.__file__).relative_to(" + repr(str(VENV)) + ")",
            ]
        )
        if installed and stamp.exists() and stamp.read_text(encoding="utf-8") == made_from:
            return
        say("building the wheel (about a minute the first time)")
        wheels = BUILD / "wheels"
        shutil.rmtree(wheels, ignore_errors=True)
        maturin = [PYTHON, "-m", "maturin", "build", "--release", "--quiet", "--interpreter", PYTHON, "--out", wheels]
        run(maturin, "the Rust part did not build")
        # Whatever has our module under another name (the ancestor, or this library as it was called before) goes first:
        # an installer would take our files away with it later.
        remove = [*self.find_uv(), "pip", "uninstall", "--python", PYTHON] if self.find_uv() else [
            PYTHON, "-m", "pip", "uninstall", "--yes"
        ]  # fmt: skip
        subprocess.run(
            [*map(str, remove), "rellm"], capture_output=True, cwd=ROOT, stdin=subprocess.DEVNULL, check=False
        )
        self.pip_install(["--no-deps", "--force-reinstall", *wheels.glob("*.whl")])
        stamp.write_text(made_from, encoding="utf-8")


# What torch brings along on Linux where it is built for a GPU.
FOR_A_GPU = re.compile(r"nvidia-|cuda-|triton$|torch$")


def is_torch(requirement):
    return re.match(r"torch\b(?!-)", requirement) is not None


VENV_REMEDY = "on Debian: apt-get install python3-venv; or install uv: https://docs.astral.sh/uv"


def installed_uv():
    return ["uv"] if shutil.which("uv") and answers(["uv", "--version"]) else None


def bootstrap_uv():
    """uv from the package registry, in a private place; None where that fails."""
    place = BUILD / "uv"
    as_venv = [place / ("Scripts/uv.exe" if os.name == "nt" else "bin/uv")]
    if answers([*as_venv, "--version"]):
        return as_venv
    say("fetching uv into", place)
    shutil.rmtree(place, ignore_errors=True)
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV_VERSION]
    if answers([sys.executable, "-m", "venv", place], seconds=120):
        python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        return as_venv if answers([python, *pip], seconds=600) else None
    shutil.rmtree(place, ignore_errors=True)
    # Debian ships Python without venv: its pip, if there is one, can still unpack uv, and uv needs no venv.
    if answers([sys.executable, *pip, "--target", place], seconds=600) and answers([*as_venv, "--version"]):
        return as_venv
    if not answers([sys.executable, "-c", "import ensurepip"]):
        stop("this Python has neither venv nor pip, and uv is not installed", VENV_REMEDY)
    return None


def use_settings_of_pip():
    """uv does not read pip's configuration: hand over the index and the certificates that are set there."""
    for setting, variable in [("index-url", "UV_DEFAULT_INDEX"), ("cert", "SSL_CERT_FILE")]:
        if variable in os.environ:
            continue
        for where in (":env:", "install", "global"):
            command = [sys.executable, "-m", "pip", "config", "get", f"{where}.{setting}"]
            found = subprocess.run(command, capture_output=True, text=True, check=False)
            if found.returncode == 0 and found.stdout.strip():
                os.environ[variable] = found.stdout.strip()
                break
    os.environ.setdefault("UV_PYTHON_DOWNLOADS", "never")


def hash_of_sources():
    digest = hashlib.sha256(sys.version.encode())
    for source in SOURCES:
        path = ROOT / source
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and file.suffix not in (".pyc", ".so", ".pyd"):
                digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def answers(command, seconds=60):
    """Whether a command runs and succeeds; what it prints does not matter."""
    try:
        done = subprocess.run(
            list(map(str, command)), capture_output=True, stdin=subprocess.DEVNULL, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def run(command, problem, remedy="its own message stands above"):
    if subprocess.run(list(map(str, command)), cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode:
        stop(problem, remedy)


def say(*words):
    print("==>", *words, flush=True)


def stop(problem, remedy):
    print(f"\nset-up failed: {problem}\n    {remedy}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    if sys.argv[1:] not in (["demo"], ["dev"]):
        sys.exit("usage: python dev/set_up.py demo|dev")
    main(sys.argv[1])
