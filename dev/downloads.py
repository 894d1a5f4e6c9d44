"""How much an installation will fetch, told before it starts, and from where torch comes."""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from pathlib import Path

CPU_TORCH = "https://download.pytorch.org/whl/cpu"
"""PyTorch's own index of builds without the libraries of a GPU: 0.2 GB in place of 3."""
PATIENCE_S = 5


def torch_index():
    """The index that torch is taken from, where it is not the one of all other packages; None for that one.

    Only Linux has builds with a GPU's libraries on the package index, so only there is another one better.
    """
    if not sys.platform.startswith("linux") or has_gpu():
        return None
    return CPU_TORCH if answers(f"{CPU_TORCH}/torch/") else None


def has_gpu():
    """Whether a GPU that torch can use is in this machine."""
    if Path("/proc/driver/nvidia/version").exists() or Path("/dev/kfd").exists():
        return True
    tool = shutil.which("nvidia-smi")
    return tool is not None and subprocess.run([tool, "-L"], capture_output=True, check=False).returncode == 0


def answers(url):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PATIENCE_S) as answer:
            return answer.status == 200
    except (OSError, ValueError):
        return False


def to_fetch(uv, python, requirements, index=None):
    """What `uv pip install` would fetch: sizes in bytes by package; None where uv cannot tell.

    Args:
        uv: the command that starts uv.
        python: the interpreter of the environment; packages that it has are left out.
        requirements: the requirements.
        index: the address of the index, where it is not the usual one.
    """
    options = ["--python", str(python), *(["--index-url", index] if index else [])]
    with tempfile.TemporaryDirectory() as folder:
        wanted, lock = Path(folder, "wanted.txt"), Path(folder, "pylock.sizes.toml")
        wanted.write_text("\n".join(requirements), encoding="utf-8")
        tried = _run([*uv, "pip", "install", "--dry-run", *options, *requirements])
        found = _run([*uv, "pip", "compile", "--quiet", *options, wanted, "--format", "pylock.toml", "-o", lock])
        if tried is None or found is None:
            return None
        new = set(re.findall(r"^ \+ ([\w.-]+)==", tried, re.M))
        packages = tomllib.loads(lock.read_text(encoding="utf-8"))["packages"]
    return {package["name"]: wheel_size(package) for package in packages if package["name"] in new}


def wheel_size(package):
    """The size of the wheel that fits this machine, as a lock file names it; of the source where no wheel fits."""
    wheels = [wheel for wheel in package.get("wheels", []) if fits(wheel["url"].rpartition("/")[2])]
    files = wheels or [package[kind] for kind in ("sdist", "archive") if kind in package]
    return max((file.get("size") or size_of(file.get("url", "")) for file in files), default=0)


def size_of(url):
    """The size that a server names; 0 where it does not."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PATIENCE_S) as answer:
            return int(answer.headers.get("Content-Length") or 0)
    except (OSError, ValueError):
        return 0


def fits(wheel, version=sys.version_info, system=sys.platform, machine=None):
    """Whether a wheel is for this Python and this kind of machine, as far as its name tells."""
    tags = wheel.removesuffix(".whl").split("-")
    if len(tags) < 5:
        return False
    pythons, abi, platforms = tags[-3].split("."), tags[-2], tags[-1]
    own = f"cp{version[0]}{version[1]}"
    if own in pythons:
        right_python = not abi.endswith("t")
    elif abi == "abi3":
        right_python = any(tag.startswith("cp3") and int(tag[3:]) <= version[1] for tag in pythons)
    else:
        right_python = abi == "none" and any(tag in ("py3", f"py{version[0]}{version[1]}") for tag in pythons)
    if platforms == "any":
        return right_python
    name = {"linux": "linux", "darwin": "macosx", "win32": "win"}.get(system, system)
    machine = (machine or platform.machine()).lower()
    names = {"x86_64": ("x86_64", "amd64"), "amd64": ("x86_64", "amd64"), "arm64": ("arm64", "aarch64", "universal2")}
    is_musl = "musllinux" in platforms and "manylinux" not in platforms and not Path("/etc/alpine-release").exists()
    return right_python and name in platforms and not is_musl and any(
        known in platforms for known in names.get(machine, (machine,))
    )  # fmt: skip


def in_words(sizes):
    """`61 packages, 2.9 GB, most of it torch (0.8 GB)`."""
    total = sum(sizes.values())
    largest = sorted(sizes, key=sizes.get, reverse=True)[:3]
    most = ", ".join(f"{name} {megabytes(sizes[name])}" for name in largest if sizes[name])
    packages = f"{len(sizes)} package" + ("s" if len(sizes) != 1 else "")
    return f"{packages}, {megabytes(total)} at most" + (f" (the largest: {most})" if most else "")


def megabytes(size):
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _run(command):
    """What a command says; None where it fails."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, env=dict(os.environ))
    return done.stdout + done.stderr if done.returncode == 0 else None
