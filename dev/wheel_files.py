"""Single files out of wheels on PyPI, without downloading the wheels: a wheel is a zip, whose parts can be asked for.

What was read is kept in the user's cache folder. Used by the tests that compare our stand-ins with real engines.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rellm" / "wheel_files"
TIMEOUT_S = 20
_failed: dict[str, str] = {}  # projects that could not be had: a machine without a network waits once


class UnavailableError(Exception):
    """The file cannot be had: no network, no such release, or an index without ranges."""


def wheel_file(project: str, version: str, path: str) -> str:
    """The text of one file of a release's wheel.

    Args:
        project: the project on PyPI.
        version: the release; "newest" for the last one.
        path: the file inside the wheel.

    Raises:
        UnavailableError: it cannot be had.
        KeyError: the wheel has no such file.
    """
    kept = CACHE / f"{project}-{version}" / path
    if version != "newest" and kept.is_file():
        return kept.read_text(encoding="utf-8")
    if project in _failed:
        raise UnavailableError(_failed[project])
    try:
        found, url, size = _release(project, version)
        kept = CACHE / f"{project}-{found}" / path
        if not kept.is_file():
            with zipfile.ZipFile(_Remote(url, size)) as wheel:  # type: ignore[arg-type]
                data = wheel.read(path)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(data)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        _failed[project] = f"{project} {version}: {error}"
        raise UnavailableError(_failed[project]) from error
    return kept.read_text(encoding="utf-8")


@cache
def _index() -> str:
    """The package index that pip asks here."""
    if os.environ.get("PIP_INDEX_URL"):
        return os.environ["PIP_INDEX_URL"].rstrip("/")
    # pip of the interpreter that made the environment: the environment itself may have none.
    python = getattr(sys, "_base_executable", sys.executable)
    for command in (
        ["-m", "pip", "config", "get", "global.index-url"],
        ["-c", "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"],
    ):
        done = subprocess.run([python, *command], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip().rstrip("/")
    raise UnavailableError("there is no pip that knows an index")


@cache
def _release(project: str, version: str) -> tuple[str, str, int]:
    """The version, and address and size of its wheel."""
    page_url = f"{_index()}/{project}/"
    asked = urllib.request.Request(page_url, headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as answer:
        page = json.load(answer)
    if version == "newest":
        final = [v for v in page["versions"] if all(part.isdigit() for part in v.split("."))]
        version = max(final, key=lambda v: [int(part) for part in v.split(".")])
    for file in page["files"]:
        name = file["filename"]
        if name.startswith(f"{project.replace('-', '_')}-{version}-") and name.endswith((".whl",)):
            return version, urllib.parse.urljoin(page_url, file["url"]), int(file["size"])
    raise UnavailableError(f"{project} {version} has no wheel")


class _Remote(io.RawIOBase):
    """A file that is read by ranges."""

    def __init__(self, url: str, size: int) -> None:
        self._url, self._size, self._at = url, size, 0
        self._tail_from = max(size - (2 << 20), 0)  # the zip's table of contents stands at the end
        self._tail = self._range(self._tail_from, size)

    def _range(self, start: int, end: int) -> bytes:
        asked = urllib.request.Request(self._url, headers={"Range": f"bytes={start}-{end - 1}"})
        with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as answer:
            if answer.status != 206:
                raise OSError("the index answers no ranges")
            data: bytes = answer.read()
            return data

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def read(self, count: int = -1) -> bytes:
        end = self._size if count < 0 else min(self._at + count, self._size)
        start, self._at = self._at, end
        if start >= end:
            return b""
        if start >= self._tail_from:
            return self._tail[start - self._tail_from : end - self._tail_from]
        return self._range(start, end)

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


if __name__ == "__main__":
    print(wheel_file(*sys.argv[1:4]))
