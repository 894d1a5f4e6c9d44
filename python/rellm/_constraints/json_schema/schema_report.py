"""The report of a schema: for each keyword, whether it is enforced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rellm._constraints.json_schema.document import escaped, held_by
from rellm._constraints.json_schema.formats import (
    EXACT_FORMATS,
    NARROWER_FORMATS,
    OTHER_FORMATS,
    PYTHON_FORMATS,
    WIDER_FORMATS,
)
from rellm._constraints.json_schema.keywords import (
    ANNOTATIONS,
    ARRAY,
    ASSERTIONS,
    BESIDE,
    HOLDS,
    KNOWN,
    NUMBER,
    OBJECT,
    STRING,
    meant_by,
    newer,
    outdated,
)
from rellm._constraints.report import Direction, Report, ReportEntry, Status

if TYPE_CHECKING:
    from rellm._constraints.json_schema.document import Resource


class Note(NamedTuple):
    """A note of the front end about a keyword of a schema."""

    schema: dict[str, Any]
    keyword: str
    status: Status
    direction: Direction
    why: str
    remedy: str


def report_of(resources: list[Resource], notes: list[Note], *, assert_formats: bool, is_python: bool = False) -> Report:
    """One entry for each occurrence of each keyword in these resources, in the order of the documents."""
    noted: dict[tuple[int, str], Note] = {}
    for note in notes:
        noted.setdefault((id(note.schema), note.keyword), note)
    entries: list[ReportEntry] = []
    seen: set[int] = set()
    for number, resource in enumerate(resources):
        # Pointers into other documents begin with their URI; resources inside this document are reported with it.
        pending = [(resource.root, f"{resource.uri}#" if number else "", resource.draft)]
        while pending:
            schema, pointer, draft = pending.pop()
            if not isinstance(schema, dict) or id(schema) in seen:
                continue
            seen.add(id(schema))
            inside: list[tuple[Any, str, str]] = []
            is_alone = "$ref" in schema and resource.is_old
            for keyword, value in schema.items():
                here = f"{pointer}/{escaped(keyword)}"
                found = noted.get((id(schema), keyword))
                if found is not None:
                    entry = ReportEntry(here, keyword, found.status, found.why, found.remedy, found.direction)
                elif is_alone and keyword in ASSERTIONS and keyword != "$ref":
                    why = f"{draft} ignores what stands beside $ref"
                    entry = ReportEntry(here, keyword, "not enforced", why, "put both into allOf", direction="wider")
                elif keyword in resource.ignored:
                    why = "the metaschema that $schema names leaves out the vocabulary of this keyword"
                    entry = ReportEntry(here, keyword, "not enforced", why, direction="wider")
                else:
                    entry = _entry(here, keyword, value, schema, draft, assert_formats, is_python)
                entries.append(entry)
                if keyword in HOLDS:
                    inside += [
                        (held, "/".join([pointer, *map(escaped, way)]), draft) for way, held in held_by(keyword, value)
                    ]
            pending += reversed(inside)
    return Report(tuple(entries))


_VALUES_OF = (
    (OBJECT, "object", frozenset(("object",))),
    (ARRAY, "array", frozenset(("array",))),
    (STRING - {"format"}, "string", frozenset(("string",))),
    (NUMBER, "number", frozenset(("number", "integer"))),
)


def _entry(
    pointer: str, keyword: str, value: Any, schema: dict[str, Any], draft: str, assert_formats: bool, is_python: bool
) -> ReportEntry:
    if keyword == "x-rellm-validator":
        why = f"{value} is checked when the text is complete, and may refuse its value"
        return ReportEntry(pointer, keyword, "not enforced", why, direction="wider")
    if keyword not in KNOWN:
        meant = meant_by(keyword)
        if meant is not None:
            why = f"{keyword!r} is no keyword"
            return ReportEntry(pointer, keyword, "suspicious", why, f"did you mean {meant!r}?", direction="wider")
        return ReportEntry(pointer, keyword, "annotation", "no keyword of JSON Schema")
    since = newer(keyword, draft)
    if since is not None and keyword in ASSERTIONS:
        why = f"a keyword of {since}, and $schema says {draft}, which ignores it"
        return ReportEntry(pointer, keyword, "not enforced", why, "name a later draft in $schema", direction="wider")
    if keyword in ANNOTATIONS:
        last = outdated(keyword, draft)
        why = f"a keyword of {last}, read as it was" if last and keyword != "id" else ""
        if keyword.startswith("content"):
            why = "content is described, not checked"
            if draft == "draft-07":  # in this draft it may be an assertion
                remedy = "check it afterwards"
                return ReportEntry(pointer, keyword, "not enforced", why, remedy, direction="wider")
        return ReportEntry(pointer, keyword, "annotation", why)
    if keyword == "format":
        if is_python and value in PYTHON_FORMATS:
            return ReportEntry(pointer, keyword, "enforced", "as the Python type parses it")
        return _format_entry(pointer, value, schema, assert_formats)
    if keyword == "required" and isinstance(value, bool):
        why = "draft 3 wrote required so; nothing is required by it"
        return ReportEntry(
            pointer, keyword, "suspicious", why, "list the names in the object's required", direction="wider"
        )
    if keyword in BESIDE and BESIDE[keyword] not in schema:
        why = f"it says something only beside {BESIDE[keyword]}"
        return ReportEntry(pointer, keyword, "suspicious", why, f"add {BESIDE[keyword]} or remove it")
    if keyword == "additionalItems" and not isinstance(schema["items"], list):
        why = "it says something only where items is a list"
        return ReportEntry(pointer, keyword, "suspicious", why, "remove it")
    types = schema.get("type")
    if types is not None:
        listed = types if isinstance(types, list) else [types]  # on request, a schema that is none is reported too
        names = {name for name in listed if isinstance(name, str)}
        for keywords, kind, needed in _VALUES_OF:
            if keyword in keywords and not names & needed:
                why = f"it is about {kind}s, and type allows none"
                return ReportEntry(pointer, keyword, "suspicious", why, "correct type or remove it")
    why = ""
    if (last := outdated(keyword, draft)) is not None:
        why = f"a keyword of {last}, read as it was"
    elif keyword == "additionalProperties" and value is not False:
        why = "the same additional key may be written twice"
    return ReportEntry(pointer, keyword, "enforced", why)


def _format_entry(pointer: str, value: Any, schema: dict[str, Any], assert_formats: bool) -> ReportEntry:
    if not assert_formats:
        return ReportEntry(pointer, "format", "annotation", "assert_formats=False")
    if value in EXACT_FORMATS:
        return ReportEntry(pointer, "format", "enforced")
    if value in NARROWER_FORMATS:
        return ReportEntry(pointer, "format", "approximated", NARROWER_FORMATS[value], direction="narrower")
    if value in WIDER_FORMATS:
        return ReportEntry(pointer, "format", "approximated", WIDER_FORMATS[value], direction="wider")
    if value in OTHER_FORMATS:
        return ReportEntry(
            pointer, "format", "not enforced", OTHER_FORMATS[value], "validate it afterwards", direction="wider"
        )
    known = [*EXACT_FORMATS, *NARROWER_FORMATS, *WIDER_FORMATS, *OTHER_FORMATS]
    remedy = f"one of {', '.join(sorted(known))}, or a pattern"
    return ReportEntry(pointer, "format", "not enforced", f"{value!r} is no known format", remedy, direction="wider")
