"""Structural tags: JSON that describes free text, tags and their contents. The format is xgrammar's.

A tag is `begin content end`. Free text ends where a tag begins (at its trigger), or at the end of the tag around it. A
text in the description that looks like a special token (`<tool_call>`, `<|im_end|>`, `[TOOL_CALLS]`) is recognised as
its characters and as the token of that name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from rellm._constraints import Constraint, Literal, Regex
from rellm._constraints.combine import AnyOf, Maybe, Repeat, Sequence
from rellm._constraints.free_text import FreeText
from rellm._constraints.json_schema import JsonSchema, JsonSpelling
from rellm._constraints.special_token import SpecialToken
from rellm._errors import RellmError, UnsupportedError

Marker: TypeAlias = "str | SpecialToken"

_DEEPEST: Final = 100
_TOKEN_LIKE: Final = re.compile(r"<[^<>\s]{1,60}>|\[[A-Z_/]{2,60}\]")


def structural_tag(text: str) -> Constraint:
    """The constraint of a structural tag.

    Args:
        text: JSON: `{"type": "structural_tag", "format": …}`, or the older `{"structures": […], "triggers": […]}`.

    Raises:
        UnsupportedError: rellm does not support a format, or does not know it.
        ValueError: the JSON, or a field in it, is wrong; the message has its place.
        RellmError: a pattern, grammar or schema in it is wrong.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"structural_tag is no JSON text: {error}") from None
    where = _Place("")
    fields = where.members(data)
    if "structures" in fields:
        return _built(_of_structures(fields), where, (), 0)
    return _built(fields.get("format"), where / "format", (), 0)


def _of_structures(data: Mapping[str, Any]) -> dict[str, Any]:
    """Converts the older form to the present one."""
    structures = data.get("structures")
    tags = [
        {
            "type": "tag",
            "begin": item.get("begin"),
            "content": {"type": "json_schema", "json_schema": True if item.get("schema") is None else item["schema"]},
            "end": item.get("end"),
        }
        for item in (structures if isinstance(structures, list) else [])
        if isinstance(item, dict)
    ]
    return {"type": "triggered_tags", "triggers": data.get("triggers"), "tags": tags}


class _Place:
    """A place in the JSON, for messages, and the reader of its fields."""

    __slots__ = ("pointer",)

    def __init__(self, pointer: str) -> None:
        self.pointer = pointer

    def __truediv__(self, name: str | int) -> _Place:
        return _Place(f"{self.pointer}/{name}")

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"structural_tag{self.pointer or ' itself'}: {what}")

    def members(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.wrong(f"an object was expected, not {type(value).__name__}")
        return value

    def items(self, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.wrong(f"a list was expected, not {type(value).__name__}")
        return value

    def text(self, value: Any) -> str:
        if not isinstance(value, str):
            raise self.wrong(f"a string was expected, not {type(value).__name__}")
        return value

    def texts(self, value: Any) -> list[str]:
        return [self.text(item) for item in self.items([] if value is None else value)]


def _built(data: Any, where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    """The constraint of a format, and of the end of the tag around it where `ends` has some: free text stops there."""
    fields = where.members(data)
    kind = fields.get("type")
    build = _FORMATS.get(kind) if isinstance(kind, str) else None
    if build is None:
        raise UnsupportedError(f"structural_tag{where.pointer}: formats of type {kind!r:.60} are not served")
    if depth > _DEEPEST:
        raise where.wrong(f"formats are nested more than {_DEEPEST} deep")
    try:
        return build(fields, where, ends, depth + 1)
    except RellmError as error:
        if "structural_tag" in str(error):
            raise
        raise type(error)(f"structural_tag{where.pointer}: {error}") from None


def _marked(text: str) -> Constraint:
    """Exactly this text; parts that look like a special token may be one."""
    parts = [part for part in re.split(f"({_TOKEN_LIKE.pattern})", text) if part]
    return Literal(text) if len(parts) < 2 else Sequence(*map(Literal, parts))


def _ending(content: Constraint, ends: tuple[Marker, ...]) -> Constraint:
    if not ends:
        return content
    return Sequence(content, _one_of([end if isinstance(end, SpecialToken) else _marked(end) for end in ends]))


def _one_of(options: list[Constraint]) -> Constraint:
    return options[0] if len(options) == 1 else AnyOf(*options)


def _free(fields: Mapping[str, Any], where: _Place, ends: tuple[Marker, ...], excluded: list[str]) -> Constraint:
    """Free text up to the end of the tag around it."""
    most = fields.get("max_tokens")
    if fields.get("max_chars") is not None:
        if excluded or any(not isinstance(end, str) for end in ends):
            raise UnsupportedError(f"structural_tag{where.pointer}: max_chars beside excludes or a token is not served")
        count = int(fields["max_chars"])
        guard = f"(?!{'|'.join(re.escape(end) for end in ends if isinstance(end, str))})" if ends else ""
        return _ending(Regex(rf"(?s:{guard}.){{0,{count}}}"), ends)
    free = FreeText(list(ends) if ends else None, exclude=excluded)
    return free if most is None else free.within(max_tokens=max(int(most), 1))


def _any_text(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    return _free(fields, where, ends, (where / "excludes").texts(fields.get("excludes")))


def _const_string(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    return _ending(_marked((where / "value").text(fields.get("value"))), ends)


def _json_schema(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    style = fields.get("style", "json")
    if style != "json":
        raise UnsupportedError(f"structural_tag{where.pointer}/style: {style!r:.60} is not served, only 'json'")
    if fields.get("excludes"):
        raise UnsupportedError(f"structural_tag{where.pointer}/excludes: not served in JSON")
    blanks = fields.get("max_whitespace_cnt")
    # Of the spellings with at most `blanks` blanks in a row, the one that allows most.
    spelling = JsonSpelling() if blanks is None else JsonSpelling("compact" if blanks == 0 else "spaced")
    schema = JsonSchema(
        fields.get("json_schema", True),
        spelling=spelling,
        property_order="any" if fields.get("any_order") else "declared",
    )
    return _ending(schema, ends)


def _regex(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    return _ending(Regex((where / "pattern").text(fields.get("pattern"))), ends)


def _grammar(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    from rellm._constraints.grammar.context_free import Grammar

    return _ending(Grammar((where / "grammar").text(fields.get("grammar")), format="gbnf"), ends)


def _token(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    return _ending(_special(fields.get("token"), where / "token"), ends)


def _any_tokens(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    # Free text has no special tokens, so excluded tokens are excluded already.
    for index, token in enumerate((where / "exclude_tokens").items(fields.get("exclude_tokens") or [])):
        if not isinstance(token, str) or not _TOKEN_LIKE.fullmatch(token):
            raise UnsupportedError(
                f"structural_tag{where.pointer}/exclude_tokens/{index}: {token!r:.60} is no name of a special token"
            )
    return _free(fields, where, ends, [])


def _special(token: Any, where: _Place) -> SpecialToken:
    if isinstance(token, str):
        return SpecialToken(token)
    if isinstance(token, int) and not isinstance(token, bool):
        return SpecialToken(id=token)
    raise where.wrong("a token's name or id was expected")


def _sequence(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    elements = (where / "elements").items(fields.get("elements"))
    if not elements:
        raise (where / "elements").wrong("there are none")
    built = []
    for index, element in enumerate(elements):
        place = where / "elements" / index
        after: tuple[Marker, ...] = ends if index == len(elements) - 1 else ()
        built.append(_built(element, place, after, depth))
    return Sequence(*built)


def _or(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    elements = (where / "elements").items(fields.get("elements"))
    if not elements:
        raise (where / "elements").wrong("there are none")
    return _one_of([_built(item, where / "elements" / index, ends, depth) for index, item in enumerate(elements)])


def _optional(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    return _ending(Maybe(_built(fields.get("content"), where / "content", (), depth)), ends)


def _repeated(least: int, most: int | None) -> _Builder:
    def build(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
        content = _built(fields.get("content"), where / "content", (), depth)
        return _ending(Repeat(content, least, most), ends)

    return build


def _repeat(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    least, most = fields.get("min"), fields.get("max")
    if not isinstance(least, int) or not isinstance(most, int):
        raise where.wrong("min and max are whole numbers")
    return _repeated(least, None if most == -1 else most)(fields, where, ends, depth)


def _tag(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    return _ending(Sequence(_begin(fields, where), _after_begin(fields, where, depth)), ends)


def _begin(fields: Mapping[str, Any], where: _Place) -> Constraint:
    begin = fields.get("begin")
    if isinstance(begin, dict):
        return _special(begin.get("token"), where / "begin/token")
    return _marked((where / "begin").text(begin))


def _after_begin(fields: dict[str, Any], where: _Place, depth: int) -> Constraint:
    """The content of a tag and its end."""
    end = fields.get("end")
    found: tuple[Marker, ...]
    if isinstance(end, dict):
        found = (_special(end.get("token"), where / "end/token"),)
    else:
        found = tuple((where / "end").texts([end] if isinstance(end, str) else end))
    # An empty end means no end; as one of several, it makes the end optional.
    written = tuple(marker for marker in found if marker != "")
    content = _built(fields.get("content"), where / "content", written, depth)
    if not written or len(written) == len(found):
        return content
    return AnyOf(content, _built(fields.get("content"), where / "content", (), depth))


def _tags(fields: Mapping[str, Any], where: _Place) -> list[tuple[dict[str, Any], _Place]]:
    tags = (where / "tags").items(fields.get("tags"))
    if not tags:
        raise (where / "tags").wrong("there are none")
    return [((where / "tags" / index).members(tag), where / "tags" / index) for index, tag in enumerate(tags)]


def _triggered_tags(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    triggers = (where / "triggers").texts(fields.get("triggers"))
    excluded = (where / "excludes").texts(fields.get("excludes"))
    tags = _tags(fields, where)
    rest: dict[str, list[Constraint]] = {}
    for tag, place in tags:
        begin = (place / "begin").text(tag.get("begin"))
        trigger = next((trigger for trigger in triggers if trigger and begin.startswith(trigger)), None)
        if trigger is None:
            raise (place / "begin").wrong(f"{begin!r:.60} begins with none of the triggers")
        head = _TOKEN_LIKE.match(begin)
        noticed = head[0] if head is not None and len(head[0]) >= len(trigger) else trigger
        after = _after_begin(tag, place, depth)
        left = begin[len(noticed) :]
        rest.setdefault(noticed, []).append(Sequence(_marked(left), after) if left else after)
    options = {marker: _one_of(found) for marker, found in rest.items()}
    return _dispatched(fields, options, [*triggers, *excluded], ends)


def _token_triggered_tags(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    rest: dict[Marker, list[Constraint]] = {}
    for tag, place in _tags(fields, where):
        begin = (place / "begin").members(tag.get("begin"))
        rest.setdefault(_special(begin.get("token"), place / "begin/token"), []).append(_after_begin(tag, place, depth))
    return _dispatched(fields, {marker: _one_of(found) for marker, found in rest.items()}, [], ends)


def _dispatch(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    options: dict[Marker, Constraint] = {}
    for index, rule in enumerate((where / "rules").items(fields.get("rules"))):
        place = where / "rules" / index
        pattern, content = place.items(rule) if isinstance(rule, list) and len(rule) == 2 else (None, None)
        is_text = fields["type"] == "dispatch"
        marker: Marker = (place / 0).text(pattern) if is_text else _special(pattern, place / 0)
        options[marker] = _built(content, place / 1, (), depth)
    if not options:
        raise (where / "rules").wrong("there are none")
    excluded = (where / "excludes").texts(fields.get("excludes")) if fields["type"] == "dispatch" else []
    settings = {"stop_after_first": not fields.get("loop", True)}
    return _dispatched(settings, options, [*(m for m in options if isinstance(m, str)), *excluded], ends)


def _dispatched(
    settings: Mapping[str, Any], options: Mapping[Any, Constraint], excluded: list[str], ends: tuple[Marker, ...]
) -> Constraint:
    """Free text in which each marker is followed by its content."""
    texts_of_ends = [end for end in ends if isinstance(end, str)]
    tags: list[Constraint] = [
        Sequence(
            FreeText(marker, exclude=sorted({*excluded, *texts_of_ends} - {marker, ""})),
            after,
        )
        for marker, after in options.items()
    ]
    first: list[Constraint] = [
        Sequence(marker if isinstance(marker, SpecialToken) else Literal(marker), after)
        for marker, after in options.items()
    ]
    tail = FreeText(list(ends) if ends else None, exclude=sorted(set(excluded) - {""}))
    one = _one_of(tags)
    if settings.get("at_least_one"):  # a required tag comes at once: free text before it would be of no use
        begun = _one_of(first)
        if settings.get("stop_after_first"):
            return _ending(begun, ends)
        return Sequence(begun, Repeat(one), tail)
    if settings.get("stop_after_first"):
        return AnyOf(_ending(one, ends), tail)
    return Sequence(Repeat(one), tail)


def _tags_with_separator(fields: dict[str, Any], where: _Place, ends: tuple[Marker, ...], depth: int) -> Constraint:
    one = _one_of([_tag(tag, place, (), depth) for tag, place in _tags(fields, where)])
    separator = (where / "separator").text(fields.get("separator"))
    least = 1 if fields.get("at_least_one") else 0
    most = 1 if fields.get("stop_after_first") else None
    return _ending(Repeat(one, least, most, separator=separator or None), ends)


_Builder: TypeAlias = Callable[[dict[str, Any], _Place, "tuple[Marker, ...]", int], Constraint]

_FORMATS: Final[Mapping[str, _Builder]] = {
    "any_text": _any_text,
    "any_tokens": _any_tokens,
    "const_string": _const_string,
    "dispatch": _dispatch,
    "grammar": _grammar,
    "json_schema": _json_schema,
    "optional": _optional,
    "or": _or,
    "plus": _repeated(1, None),
    "regex": _regex,
    "repeat": _repeat,
    "sequence": _sequence,
    "star": _repeated(0, None),
    "tag": _tag,
    "tags_with_separator": _tags_with_separator,
    "token": _token,
    "token_dispatch": _dispatch,
    "token_triggered_tags": _token_triggered_tags,
    "triggered_tags": _triggered_tags,
}

NOT_SERVED: Final = ("exclude_token", "qwen_xml_parameter")
"""Formats of xgrammar that are not supported."""
