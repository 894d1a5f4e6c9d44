"""Tables of character classes and case folding, scanned from the pattern's own library.

The tables of the known versions ship with the package; those of other versions are scanned (`scan`, some tens of
milliseconds) and kept in the user's cache folder (RELLM_CACHE=0: scanned in each process).

    python -m rellm._dialects.tables --write    # writes the tables of the running interpreter and the installed `regex`
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from rellm import _core, _disk
from rellm._dialects import scan
from rellm._dialects.scan import Range

_FORMAT = "rellm-tables-1"

# Tags of the sections; crates/core/src/syntax/tables.rs reads them.
_WORD, _DIGIT, _SPACE, _ASCII_WORD, _ASCII_DIGIT, _ASCII_SPACE = 1, 2, 3, 4, 5, 6
_LOWER, _UPPER, _CASED, _SAME_UPPER = 7, 8, 9, 10
_BLANK, _CASES, _FOLDING, _EXPANDING, _PATTERN_SPACE = 11, 12, 13, 14, 15

_Used = TypeVar("_Used")


@functools.cache
def re_dialect() -> _core.Dialect:
    """The `re` of the running interpreter."""
    return _load(_re_key(), _scan_re, lambda body: _core.Dialect("re", sys.version_info.minor, body, _Resolver()))


@functools.cache
def regex_dialect() -> _core.Dialect:
    """The installed `regex`."""
    return _load(
        _regex_key(), _scan_regex, lambda body: _core.Dialect("regex", sys.version_info.minor, body, _Resolver())
    )


@functools.cache
def ecma_dialect() -> _core.Dialect:
    """Patterns of ECMA-262 as JSON Schema means them. Names of properties are asked of the installed `regex`."""
    return _core.Dialect("ecma", 0, b"", _Resolver())


class _Resolver:
    """Answers questions of the parser that the tables do not, such as the members of `\\p{…}`."""

    def character(self, name: str) -> int | None:
        try:
            found = unicodedata.lookup(name)
        except KeyError:
            return None
        return ord(found) if len(found) == 1 else None

    def is_identifier(self, name: str) -> bool:
        return name.isidentifier()

    def property(
        self, name: str | None, value: str, posix: bool, encoding: str
    ) -> tuple[int, bool, bytes, bytes] | None:
        """The property's number, whether it is negated, and the ranges of its members, plainly and ignoring case."""
        return _property(name, value, posix, encoding)

    def misreading(self, written: str, flags: int, members: Sequence[Range]) -> str | None:
        """How `regex` misreads a set that should match these characters, in words; None if it does not."""
        return _misreading(written, flags, tuple(members))


@functools.lru_cache(maxsize=1024)
def _property(name: str | None, value: str, posix: bool, encoding: str) -> tuple[int, bool, bytes, bytes] | None:
    import regex
    from regex import _regex_core

    try:
        found = _regex_core.lookup_property(name, value, True, None, posix)
    except regex.error:
        return None
    negated = not found.positive
    full = value if name is None else f"{name}={value}"
    pattern = f"[[:{'^' * negated}{full}:]]" if posix else rf"\{'pP'[negated]}{{{full}}}"
    key = f"{_regex_key()}-property-{found.value:x}-{encoding.replace(' ', '-')}"
    return (found.value, negated, *_load(key, lambda: _scan_property(pattern, encoding), _parted))


def _scan_property(pattern: str, encoding: str) -> bytes:
    """The members as they are and with case ignored, the former with their length before them."""
    import regex

    if encoding == "ascii part":
        pattern = f"(?a:{pattern})"
    flags = regex.V0 | (regex.ASCII if encoding == "ascii" else regex.UNICODE)
    plain = scan.members(regex.compile(f"(?:{pattern})+", flags))
    ignoring_case = scan.ignoring_case(plain, regex.compile(f"(?:{pattern})+", flags | regex.IGNORECASE))
    members = _encode_ranges(plain)
    return len(members).to_bytes(4, "little") + members + _encode_ranges(ignoring_case)


def _parted(body: bytes) -> tuple[bytes, bytes]:
    """The two sets of a property.

    Raises:
        ValueError: they are no ranges.
    """
    middle = 4 + int.from_bytes(body[:4], "little")
    if len(body) < middle:
        raise ValueError("a set is missing")
    parts = body[4:middle], body[middle:]
    for part in parts:
        _check_ranges(part)
    return parts


def _check_ranges(encoded: bytes) -> None:
    end, numbers = 0, _numbers(encoded)
    for gap in numbers:
        end += gap + next(numbers, scan.POINTS) + 1
    if end > scan.POINTS:
        raise ValueError("these are no ranges of code points")


@functools.lru_cache(maxsize=1024)
def _misreading(written: str, flags: int, members: tuple[Range, ...]) -> str | None:
    import regex

    who = f"regex {regex.__version__}"
    try:
        compiled: Any = regex.compile(written, flags)
    except regex.error:
        return None  # the parser of the whole pattern reports the error
    except Exception as error:
        return f"{who} fails on it ({type(error).__name__}: {error})"
    borders = {c for first, last in members for c in (first - 1, first, last, last + 1)}
    for point in [*map(ord, "a-1 \né一"), *sorted(borders)[:_MOST_BORDERS]]:
        if 0 <= point <= sys.maxunicode and not 0xD800 <= point <= 0xDFFF:
            is_member = any(first <= point <= last for first, last in members)
            if (compiled.fullmatch(chr(point)) is not None) != is_member:
                return f"{who} {'does not let it' if is_member else 'lets it'} match {chr(point)!r}"
    return None


_MOST_BORDERS = 200


def _re_key() -> str:
    return f"re-3.{sys.version_info.minor}-{unicodedata.unidata_version}"


def _regex_key() -> str:
    import regex

    return f"regex-{regex.__version__}"


def _load(key: str, found: Callable[[], bytes], use: Callable[[bytes], _Used]) -> _Used:
    """The result of `use` for the table that ships, else for the one in the cache folder, else for a new scan.

    A complete table whose content is invalid (`use` raises a ValueError) counts as missing.
    """
    name = f"{key}.tables"
    folder = _disk.cache_folder()
    for place in ("package", "cache"):
        if place == "package":
            data = _shipped(name)
        else:
            data = None if folder is None else _disk.read(folder / name)
        body = None if data is None else _body(data, key)
        if body is not None:
            try:
                return use(body)
            except ValueError:
                pass
    scanned = found()
    if folder is not None:
        _disk.write(folder / name, _file(key, scanned))
    return use(scanned)


def _shipped(name: str) -> bytes | None:
    try:
        return resources.files("rellm._dialects").joinpath("data", name).read_bytes()
    except OSError:
        return None


def _file(key: str, body: bytes) -> bytes:
    return f"{_FORMAT}\n{key}\n{zlib.crc32(body)}\n".encode() + b"\0" + body


def _body(data: bytes, key: str) -> bytes | None:
    """The sections of a file, or None if it is not whole or not this key's."""
    header, _, body = data.partition(b"\0")
    return body if header == f"{_FORMAT}\n{key}\n{zlib.crc32(body)}\n".encode() else None


# --- asking -----------------------------------------------------------------------------------------------------


def _class_sections(compile: Callable[[str], Any]) -> bytes:
    """The classes that both libraries have: words, digits and white space, in Unicode and in ASCII."""
    return b"".join(
        _section(tag, _encode_ranges(scan.members(compile(f"{ascii}{escape}+"))))
        for ascii, tags in (("", (_WORD, _DIGIT, _SPACE)), ("(?a)", (_ASCII_WORD, _ASCII_DIGIT, _ASCII_SPACE)))
        for tag, escape in zip(tags, (r"\w", r"\d", r"\s"), strict=True)
    )


def _scan_re() -> bytes:
    from re import _casefix  # type: ignore[attr-defined]

    lower, upper, cased = scan.re_cases()
    return b"".join(
        (
            _class_sections(re.compile),
            _section(_LOWER, _encode_map(lower)),
            _section(_UPPER, _encode_map(upper)),
            _section(_CASED, _encode_ranges(cased)),
            _section(_SAME_UPPER, _encode_map(_casefix._EXTRA_CASES)),
        )
    )


def _scan_regex() -> bytes:
    import regex
    from regex import _regex

    cases, folding = scan.regex_cases()
    expanding = [ord(c) for c in _regex.get_expand_on_folding()]
    return b"".join(
        (
            _class_sections(regex.compile),
            _section(_BLANK, _encode_ranges(scan.members(regex.compile(r"\h+")))),
            _section(_CASES, _encode_map(cases)),
            _section(_FOLDING, _encode_map(folding)),
            _section(_EXPANDING, b"".join(map(_number, expanding))),
            _section(_PATTERN_SPACE, _encode_ranges(scan.white_space())),
        )
    )


# --- writing ----------------------------------------------------------------------------------------------------


def _section(tag: int, payload: bytes) -> bytes:
    return bytes([tag]) + len(payload).to_bytes(4, "little") + payload


def _number(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _numbers(encoded: bytes) -> Iterator[int]:
    value = shift = 0
    for byte in encoded:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield value
            value = shift = 0
    if shift:
        raise ValueError("a number is cut short")


def _encode_ranges(ranges: Iterable[Range]) -> bytes:
    return b"".join(_ranges_numbers(ranges))


def _ranges_numbers(ranges: Iterable[Range]) -> Iterator[bytes]:
    end = 0
    for low, high in ranges:
        yield _number(low - end)
        yield _number(high - low)
        end = high + 1


def _encode_map(mapping: Mapping[int, Sequence[int]]) -> bytes:
    return b"".join(_map_numbers(mapping))


def _map_numbers(mapping: Mapping[int, Sequence[int]]) -> Iterator[bytes]:
    before = 0
    for source in sorted(mapping):
        yield _number(source - before)
        before = source
        yield _number(len(mapping[source]))
        for target in mapping[source]:
            offset = target - source
            yield _number(offset << 1 if offset >= 0 else (-offset << 1) - 1)


def _main(arguments: Sequence[str]) -> int:
    if list(arguments) != ["--write"]:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    folder = Path(__file__).parent / "data"
    folder.mkdir(exist_ok=True)
    for key, found in ((_re_key(), _scan_re), (_regex_key(), _scan_regex)):
        path = folder / f"{key}.tables"
        _disk.write(path, _file(key, found()))
        sys.stdout.write(f"{path} ({path.stat().st_size} bytes)\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
