"""Reads the constraint of a vLLM request from its fields.

`StructuredOutputsParams` has one field for the constraint and some for the spelling of JSON; further options are in
`vllm_xargs` (`SamplingParams.extra_args`). Each field and each key is served, or refused with a message.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import regex

from rellm._constraints import Choice, Constraint, Regex
from rellm._constraints.json_schema import JsonSchema, JsonSpelling
from rellm._errors import UnsupportedError
from rellm._generate.run_limits import RunLimits

KINDS: Final = ("json", "json_object", "regex", "choice", "grammar", "structural_tag")
"""The fields of `StructuredOutputsParams` of which a request has exactly one."""

LAYOUT: Final = ("disable_any_whitespace", "disable_additional_properties", "whitespace_pattern")
"""Its fields for the spelling of JSON."""

# The keys of `vllm_xargs` for each kind of constraint; run limits are allowed for all.
_RUN_LIMITS: Final = ("max_whitespace", "max_repetition")
_OF_JSON: Final = (
    "property_order",
    "additional",
    "required",
    "assert_formats",
    "whitespace",
    "fence",
    "max_digits",
    "integers",
)
XARGS: Final[Mapping[str, tuple[str, ...]]] = {
    "json": _OF_JSON,
    "json_object": ("whitespace", "fence", "max_digits"),
    "regex": ("dialect", "flags"),
    "choice": (),
    "grammar": ("grammar_format", "start", "lexer"),
    "structural_tag": (),
}
# Keys that vLLM itself reads there, and prefixes of keys that connectors and models read.
_OF_VLLM: Final = frozenset(
    {"kv_transfer_params", "ec_transfer_params", "kv_cache_report_mode", "session_id", "ngram_size", "window_size"}
    | {"whitelist_token_ids"}
)
OTHERS: Final = "RELLM_VLLM_OTHER_XARGS"
"""Environment variable: names of `vllm_xargs`, separated by commas, that other plug-ins read."""

_SPELLED: Final = 512


@dataclass(frozen=True, slots=True)
class RequestConstraint:
    """The constraint of a request, and its run limits."""

    constraint: Constraint
    run_limits: RunLimits


def request_constraint(params: Any, extra_args: Mapping[str, Any] | None = None) -> RequestConstraint:
    """Reads the constraint and the run limits of a request.

    Args:
        params: its `StructuredOutputsParams`.
        extra_args: its `SamplingParams.extra_args`, which clients send as `vllm_xargs`.

    Raises:
        RellmError, TypeError, ValueError: it cannot be served; the message names the field.
        ImportError: a library is missing, `lark` for a grammar.
    """
    kind = _kind(params)
    _refuse_unknown_fields(params)
    given = _xargs(kind, extra_args or {})
    counts = {name: _count(name, given.pop(name)) for name in _RUN_LIMITS if name in given}
    limits = RunLimits(counts.get("max_whitespace"), counts.get("max_repetition"))
    layout = {name: getattr(params, name, None) for name in LAYOUT if getattr(params, name, None) not in (None, False)}
    if layout and kind not in ("json", "json_object"):
        raise UnsupportedError(f"structured_outputs.{next(iter(layout))} goes with json, not with {kind}")
    spec = getattr(params, kind)
    text = spec if isinstance(spec, str) else json.dumps(spec)
    return RequestConstraint(_constraint(kind, text, isinstance(spec, str), _frozen(layout), _frozen(given)), limits)


def constraint_of_key(kind: str, text: str) -> Constraint:
    """The constraint of vLLM's key of a request: the name of a `StructuredOutputOptions`, and its text."""
    kind = kind.lower()
    if kind not in KINDS:
        raise UnsupportedError(f"this rellm does not know the kind of structured output {kind!r}")
    return _constraint(kind, text, kind not in ("choice", "json"), (), ())


def _kind(params: Any) -> str:
    given = [kind for kind in KINDS if getattr(params, kind, None) is not None]
    if len(given) != 1:
        named = ", ".join(given) or "no constraint"
        raise ValueError(f"structured_outputs has {named}: give exactly one of {', '.join(KINDS)}")
    if given == ["json_object"] and params.json_object is not True:
        raise ValueError("structured_outputs.json_object is True or left out")
    return given[0]


def _refuse_unknown_fields(params: Any) -> None:
    """Refuses fields of a newer vLLM that are set, because ignoring them would change the text."""
    for field in dataclasses.fields(params) if dataclasses.is_dataclass(params) else ():
        if field.name.startswith("_") or field.name in KINDS or field.name in LAYOUT:
            continue
        value = getattr(params, field.name)
        if value not in (field.default, None, False):
            raise UnsupportedError(f"structured_outputs.{field.name} is not known to this rellm: leave it out")


def _xargs(kind: str, extra_args: Mapping[str, Any]) -> dict[str, Any]:
    known = (*XARGS[kind], *_RUN_LIMITS)
    others = _OF_VLLM | {name.strip() for name in os.environ.get(OTHERS, "").split(",")}
    found = {}
    for name, value in extra_args.items():
        if name in known:
            found[name] = value
        elif name not in others:
            raise UnsupportedError(_unknown_xarg(name, kind, known))
    return found


def _unknown_xarg(name: str, kind: str, known: tuple[str, ...]) -> str:
    owners = [other for other, names in XARGS.items() if name in names]
    if owners:
        return f"vllm_xargs.{name} goes with {' and '.join(owners)}, not with {kind}"
    near = difflib.get_close_matches(name, {*known, *(n for names in XARGS.values() for n in names)}, 1)
    return (
        f"vllm_xargs.{name:.60} is not known"
        + (f": did you mean {near[0]}?" if near else f": with {kind} there are {', '.join(known)}")
        + f" If another plug-in reads it, the server names it in {OTHERS}"
    )


def _frozen(values: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in sorted(values.items()))


@lru_cache(maxsize=_SPELLED)
def _constraint(
    kind: str, text: str, is_text: bool, layout: tuple[tuple[str, Any], ...], xargs: tuple[tuple[str, Any], ...]
) -> Constraint:
    """The constraint itself, cached: the front end and the engine both read each request."""
    options = dict(xargs)
    if kind == "regex":
        return _regex(text, options)
    if kind == "choice":
        return Choice(json.loads(text) if not is_text else [text])
    if kind == "grammar":
        return _grammar(text, options)
    if kind == "structural_tag":
        from rellm._constraints.structural_tags import structural_tag

        return structural_tag(text)
    return _json(text if kind == "json" else '{"type": "object"}', dict(layout), options)


def _json(text: str, layout: dict[str, Any], options: dict[str, Any]) -> JsonSchema:
    whitespace: Any = options.pop("whitespace", None)
    pattern = layout.get("whitespace_pattern")
    if pattern not in (None, ""):
        raise UnsupportedError(
            f"structured_outputs.whitespace_pattern={pattern!r:.60} cannot be served: say "
            'vllm_xargs={"whitespace": "compact" | "spaced" | "flexible" | "any", or a number of spaces}'
        )
    if pattern == "" or layout.get("disable_any_whitespace"):
        if whitespace not in (None, "compact"):
            raise ValueError(f"vllm_xargs.whitespace={whitespace!r} contradicts the request's own field for whitespace")
        whitespace = "compact"
    if layout.get("disable_additional_properties"):
        if options.get("additional", "closed") != "closed":
            raise ValueError("vllm_xargs.additional contradicts structured_outputs.disable_additional_properties")
        options["additional"] = "closed"
    spelling: dict[str, Any] = {} if whitespace is None else {"whitespace": whitespace}
    for name in ("fence", "max_digits", "integers"):
        if name in options:
            spelling[name] = options.pop(name)
    if "assert_formats" in options:
        options["assert_formats"] = bool(options["assert_formats"])
    try:
        # Clients of a server expect the declared order, and models write it best.
        return JsonSchema(text, spelling=JsonSpelling(**spelling), **{"property_order": "declared", **options})
    except TypeError as error:
        raise ValueError(f"vllm_xargs: {error}") from None


def _regex(pattern: str, options: dict[str, Any]) -> Regex:
    dialect = options.get("dialect")
    if dialect not in (None, "re", "regex"):
        raise ValueError(f'vllm_xargs.dialect is "re" or "regex", not {dialect!r:.60}')
    return Regex(pattern, _flags(options.get("flags"), dialect or "re"), dialect=dialect)


def _flags(given: Any, dialect: str) -> int:
    """Flags as letters, `"is"`, or as names, `["IGNORECASE", "DOTALL"]`."""
    names: list[Any] = list(given) if isinstance(given, (str, tuple)) else []
    if given is not None and not names and given != "":
        raise ValueError(f'vllm_xargs.flags is a string of letters, "is", or a list of names, not {given!r:.60}')
    library: Any = re.RegexFlag if dialect == "re" else regex.RegexFlag
    flags = library(0)
    for name in names:
        found = getattr(library, str(name).upper(), None)
        if not isinstance(found, library):
            raise ValueError(f"vllm_xargs.flags: {dialect} has no flag {name!r:.60}")
        flags |= found
    return flags if names else 0


def _grammar(text: str, options: dict[str, Any]) -> Constraint:
    from rellm._constraints.grammar.context_free import Grammar

    found: Any = options.get("grammar_format")
    if found is None:
        # In Lark's format a rule is `name: …`; in GBNF, which xgrammar's users write, `name ::= …`.
        found = "gbnf" if re.search(r"^\s*[\w-]+\s*::=", text, re.M) else "lark"
    try:
        return Grammar(text, start=options.get("start"), format=found, lexer=options.get("lexer", "none"))
    except TypeError as error:
        raise ValueError(f"vllm_xargs: {error}") from None


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"vllm_xargs.{name} is a whole number, not {value!r:.60}")
    return value
