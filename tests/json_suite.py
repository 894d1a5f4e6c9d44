"""The official test suite of JSON Schema, and real schemas: read where they lie, never copied into the project.

The suite is in the sdist of PyPI's `jsonschema`, which pip fetches once into the user's cache folder.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import lzma
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import regex

DRAFTS = {
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft4": "http://json-schema.org/draft-04/schema#",
}
_SURROGATE = re.compile("[\ud800-\udfff]")


class Group(NamedTuple):
    """One schema of the suite with its instances."""

    file: str
    description: str
    schema: Any
    tests: list[dict[str, Any]]

    @property
    def texts(self) -> Iterator[tuple[str, bool]]:
        """Each instance in compact and in spaced spelling, and whether it is valid."""
        for test in self.tests:
            for separators in ((",", ":"), (", ", ": ")):
                text = json.dumps(test["data"], ensure_ascii=False, separators=separators)
                if not _SURROGATE.search(text):
                    yield text, test["valid"]


@functools.cache
def sdist() -> tarfile.TarFile:
    """The sdist of the installed version of `jsonschema`; a test that asks is skipped where it cannot be had."""
    version = importlib.metadata.version("jsonschema")
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rellm-tests"
    file = folder / f"jsonschema-{version}.tar.gz"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # pip of the interpreter that made the environment: the environment itself has none.
        python = getattr(sys, "_base_executable", sys.executable)
        command = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        done = subprocess.run([*command, "--dest", folder, f"jsonschema=={version}"], capture_output=True, check=False)
        if not file.exists():
            pytest.skip(f"the sdist of jsonschema cannot be fetched: {done.stderr.decode()[-200:]}")
    return tarfile.open(file)


@functools.cache
def _files() -> dict[str, bytes]:
    archive = sdist()
    found = {}
    for member in archive.getmembers():
        name = member.name.partition("/json/")[2]
        if member.isfile() and name.endswith(".json") and name.startswith(("tests/", "remotes/")):
            content = archive.extractfile(member)
            assert content is not None
            found[name] = content.read()
    return found


@functools.cache
def remotes() -> dict[str, Any]:
    """The documents that the suite's references lead to, by URI."""
    return {
        "http://localhost:1234/" + name.removeprefix("remotes/"): json.loads(content)
        for name, content in _files().items()
        if name.startswith("remotes/")
    }


def groups(draft: str) -> list[Group]:
    """All groups of a draft, optional ones included; drafts before 2020-12 name themselves."""
    found = []
    for name, content in sorted(_files().items()):
        file = name.removeprefix(f"tests/{draft}/")
        if file == name:
            continue
        for group in json.loads(content):
            schema = group["schema"]
            if draft != "draft2020-12" and isinstance(schema, dict):
                schema = {"$schema": DRAFTS[draft], **schema}
            found.append(Group(file, group["description"], schema, group["tests"]))
    return found


def real_schemas() -> list[dict[str, Any]]:
    """Real schemas with instances, where they lie beside the project."""
    file = Path(__file__).parents[1] / "shared/data/real_schemas.jsonl.xz"
    for folder in [file, *(parent / "shared/data/real_schemas.jsonl.xz" for parent in Path(__file__).parents)]:
        if folder.exists():
            with lzma.open(folder, "rt", encoding="utf-8") as lines:
                return [json.loads(line) for line in lines]
    pytest.skip("there are no real schemas beside this checkout")


@functools.cache
def _compiled(pattern: str) -> Any:
    """An ECMA pattern as `regex` reads it: digits and words are ASCII, the end is the end."""
    rewritten, in_class, at = "", False, 0
    while at < len(pattern):
        pair = pattern[at : at + 2]
        if pair in _ESCAPES:
            inside, outside = _ESCAPES[pair]
            rewritten += inside if in_class else outside
            at += 2
        elif pair[0] == "\\":
            control = re.match(r"\\c([A-Za-z])", pattern[at:])
            point = re.match(r"\\u\{([0-9a-fA-F]+)\}", pattern[at:])
            if control:
                rewritten += rf"\x{ord(control[1]) % 32:02x}"
            elif point:
                rewritten += rf"\U{int(point[1], 16):08x}"
            else:
                rewritten += pair
            at += len((control or point or [pair])[0])
        else:
            in_class = pair[0] == "[" or (in_class and pair[0] != "]")
            named = pattern.startswith("(?<", at) and pattern[at + 3 : at + 4] not in ("=", "!")
            rewritten += "(?P<" if named else r"\Z" if pair[0] == "$" and not in_class else pair[0]
            at += 3 if named else 1
    return regex.compile(rewritten)


_SPACE = r"\t-\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_ESCAPES = {
    r"\s": (_SPACE, f"[{_SPACE}]"),
    r"\S": (r"\S", f"[^{_SPACE}]"),
    r"\d": ("0-9", "[0-9]"),
    r"\D": (r"\D", "[^0-9]"),
    r"\w": ("A-Za-z0-9_", "[A-Za-z0-9_]"),
    r"\W": (r"\W", "[^A-Za-z0-9_]"),
}


def ecma_matches(pattern: str, text: str, whole: bool) -> bool:
    """Whether an ECMA pattern matches a text in full, or is found in it; shares nothing with the core's reader."""
    compiled = _compiled(pattern)
    return bool(compiled.fullmatch(text) if whole else compiled.search(text))
