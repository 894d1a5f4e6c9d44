"""The user's cache folder. Its files are made again where they are missing, broken or cannot be written."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

_MOST_BYTES_OF_A_FILE = 256 << 20


def cache_folder() -> Path | None:
    """`rellm` in `$XDG_CACHE_HOME`, else in `%LOCALAPPDATA%` or `~/.cache`.

    None where `RELLM_CACHE` is 0 or there is no home. Relative paths are ignored, as the XDG specification says.
    """
    if os.environ.get("RELLM_CACHE", "").strip().lower() in ("0", "off", "no", "false"):
        return None
    home = os.path.join(os.path.expanduser("~"), ".cache")
    for base in (os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("LOCALAPPDATA", ""), home):
        if os.path.isabs(base):
            return Path(base, "rellm")
    return None


def read(path: Path) -> bytes | None:
    """Reads a file, and marks it as used now; None if there is no file of a size that we write.

    Only regular files are opened: opening a FIFO would block until someone writes into it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError:
        return None
    try:
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES_OF_A_FILE:
                return None
            data = file.read()
    except OSError:
        return None
    try:
        os.utime(path)
    except OSError:
        pass  # the file will only be removed earlier
    return data


def write(path: Path, data: bytes) -> None:
    """Writes a file atomically: a reader at the same time finds the old content or the new one."""
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
    """Removes the least recently used files until the folder's files take at most `most_bytes`."""
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
