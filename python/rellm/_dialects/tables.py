"""What the pattern's library says of every character, scanned from the library itself.

`re` and `regex` differ from each other and from version to version, so no Unicode table of ours could be exact.
One scan over all code points gives a library's answer. The tables of the known versions ship with the package;
those of other versions are scanned once and kept in the user's cache folder (RELLM_CACHE=0: scanned in each process).

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

from rellm import _core, _disk

_FORMAT = "rellm-tables-1"

# Tags of the sections; crates/core/src/syntax/tables.rs reads them.
_WORD, _DIGIT, _SPACE, _ASCII_WORD, _ASCII_DIGIT, _ASCII_SPACE = 1, 2, 3, 4, 5, 6
_LOWER, _UPPER, _CASED, _SAME_UPPER = 7, 8, 9, 10
_BLANK, _CASES, _FOLDING, _EXPANDING, _PATTERN_SPACE = 11, 12, 13, 14, 15

_Range = tuple[int, int]


@functools.cache
def re_dialect() -> _core.Dialect:
    """The `re` of the running interpreter."""
    return _core.Dialect("re", sys.version_info.minor, re_tables(), _Resolver())


@functools.cache
def regex_dialect() -> _core.Dialect:
    """The installed `regex`."""
    return _core.Dialect("regex", sys.version_info.minor, regex_tables(), _Resolver())


@functools.cache
def ecma_dialect() -> _core.Dialect:
    """Patterns of ECMA-262 as JSON Schema means them. Names of properties are asked of the installed `regex`."""
    return _core.Dialect("ecma", 0, b"", _Resolver())


class _Resolver:
    """Answers what a pattern asks for while it is parsed and no table holds."""

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
    body = _load(key, lambda: _scan_property(pattern, encoding))
    length = int.from_bytes(body[:4], "little")
    return found.value, negated, body[4 : 4 + length], body[4 + length :]


def _scan_property(pattern: str, encoding: str) -> bytes:
    """The members as they are and with case ignored, the former with their length before them."""
    import regex

    if encoding == "ascii part":
        pattern = f"(?a:{pattern})"
    flags = regex.V0 | (regex.ASCII if encoding == "ascii" else regex.UNICODE)
    members, ignoring_case = (
        _encode_ranges(_runs(regex.compile(f"(?:{pattern})+", flags | more).finditer(_everything())))
        for more in (0, regex.IGNORECASE)
    )
    return len(members).to_bytes(4, "little") + members + ignoring_case


def re_tables() -> bytes:
    """The sections of the running interpreter's `re`."""
    return _load(_re_key(), _scan_re)


def _re_key() -> str:
    return f"re-3.{sys.version_info.minor}-{unicodedata.unidata_version}"


def _regex_key() -> str:
    import regex

    return f"regex-{regex.__version__}"


def regex_tables() -> bytes:
    """The sections of the installed `regex`."""
    return _load(_regex_key(), _scan_regex)


def _load(key: str, scan: Callable[[], bytes]) -> bytes:
    name = f"{key}.tables"
    data = _shipped(name)
    shipped = None if data is None else _body(data, key)
    if shipped is not None:
        return shipped
    folder = _disk.cache_folder()
    data = None if folder is None else _disk.read(folder / name)
    cached = None if data is None else _body(data, key)
    if cached is not None:
        return cached
    body = scan()
    if folder is not None:
        _disk.write(folder / name, _file(key, body))
    return body


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


# --- scanning ---------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def _everything() -> str:
    return "".join(map(chr, range(sys.maxunicode + 1)))


def _runs(matches: Iterable[re.Match[str]]) -> list[_Range]:
    return [(match.start(), match.end() - 1) for match in matches]


def _ranges(points: Iterable[int]) -> list[_Range]:
    ranges: list[_Range] = []
    for point in points:
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1] = (ranges[-1][0], point)
        else:
            ranges.append((point, point))
    return ranges


def _class_sections(scan: Callable[[str], list[_Range]]) -> bytes:
    """What both libraries have: words, digits and white space, in Unicode and in ASCII."""
    return b"".join(
        _section(tag, _encode_ranges(scan(f"{ascii}{escape}+")))
        for ascii, tags in (("", (_WORD, _DIGIT, _SPACE)), ("(?a)", (_ASCII_WORD, _ASCII_DIGIT, _ASCII_SPACE)))
        for tag, escape in zip(tags, (r"\w", r"\d", r"\s"), strict=True)
    )


def _scan_re() -> bytes:
    import _sre
    from re import _casefix  # type: ignore[attr-defined]

    everything = _everything()

    def scan(pattern: str) -> list[_Range]:
        return _runs(re.finditer(pattern, everything))

    points = range(sys.maxunicode + 1)
    lower = {c: [low] for c, low in zip(points, map(_sre.unicode_tolower, points), strict=True) if low != c}
    cased = _ranges(c for c in points if _sre.unicode_iscased(c))
    # The engine's own upper case is the first character of the full one (`ß` → `S`).
    upper = {c: [up] for c in points if (up := ord(chr(c).upper()[0])) != c}
    return b"".join(
        (
            _class_sections(scan),
            _section(_LOWER, _encode_map(lower)),
            _section(_UPPER, _encode_map(upper)),
            _section(_CASED, _encode_ranges(cased)),
            _section(_SAME_UPPER, _encode_map(_casefix._EXTRA_CASES)),
        )
    )


def _scan_regex() -> bytes:
    import regex
    from regex import _regex

    everything = _everything()

    def scan(pattern: str) -> list[_Range]:
        return _runs(regex.finditer(pattern, everything))

    unicode, full = int(regex.UNICODE), int(regex.UNICODE | regex.FULLCASE | regex.IGNORECASE)
    cases: dict[int, list[int]] = {}
    folding: dict[int, list[int]] = {}
    for point in range(sys.maxunicode + 1):
        others = [c for c in _regex.get_all_cases(unicode, point) if c != point]
        if others:
            cases[point] = others
        folded = _regex.fold_case(full, chr(point))
        if folded != chr(point):
            folding[point] = [ord(c) for c in folded]
    expanding = [ord(c) for c in _regex.get_expand_on_folding()]
    return b"".join(
        (
            _class_sections(scan),
            _section(_BLANK, _encode_ranges(scan(r"\h+"))),
            _section(_CASES, _encode_map(cases)),
            _section(_FOLDING, _encode_map(folding)),
            _section(_EXPANDING, b"".join(map(_number, expanding))),
            _section(_PATTERN_SPACE, _encode_ranges(_ranges(i for i, c in enumerate(everything) if c.isspace()))),
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


def _encode_ranges(ranges: Iterable[_Range]) -> bytes:
    return b"".join(_ranges_numbers(ranges))


def _ranges_numbers(ranges: Iterable[_Range]) -> Iterator[bytes]:
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
    for key, scan in ((_re_key(), _scan_re), (_regex_key(), _scan_regex)):
        path = folder / f"{key}.tables"
        _disk.write(path, _file(key, scan()))
        sys.stdout.write(f"{path} ({path.stat().st_size} bytes)\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
