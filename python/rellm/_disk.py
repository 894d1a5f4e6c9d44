"""The user's cache folder: what is made again where it is missing, broken or cannot be written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path | None:
    """`$XDG_CACHE_HOME/rellm`, or `~/.cache/rellm`; None where `RELLM_CACHE` is 0 or there is no home."""
    if os.environ.get("RELLM_CACHE", "").strip().lower() in ("0", "off", "no", "false"):
        return None
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # the specification says that relative paths are to be ignored
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base, "rellm") if os.path.isabs(base) else None


def read(path: Path) -> bytes | None:
    """The file's content, which counts as used now; None where there is none."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    try:
        os.utime(path)
    except OSError:
        pass  # only its turn to be removed comes earlier
    return data


def write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all: whoever reads at the same time finds the old one or the new one."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".new", delete=False) as file:
            temporary = file.name
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        if temporary is not None:
            try:
                os.unlink(temporary)
            except OSError:
                pass


def keep_within(folder: Path, most_bytes: int) -> None:
    """Removes what was used longest ago until the folder's files take no more than so many bytes."""
    try:
        found = [(entry.stat(), entry.path) for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)]
    except OSError:
        return
    found.sort(key=lambda file: file[0].st_mtime, reverse=True)
    total = 0
    for status, path in found:
        total += status.st_size
        if total > most_bytes:
            try:
                os.unlink(path)
            except OSError:
                pass
