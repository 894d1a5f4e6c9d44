"""The constraint that a command is given: a pattern, a grammar, a template, a schema or a type."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

import rellm
from rellm._cli.arguments import flags_of
from rellm._constraints.base import Constraint
from rellm._constraints.conversion import as_constraint
from rellm._errors import RellmError

_GBNF = {".gbnf", ".ebnf"}


def requested_constraint(arguments: argparse.Namespace, pattern: str | None, option: str) -> Constraint:
    """Returns the constraint that the arguments ask for.

    Args:
        arguments: those of the command.
        pattern: the pattern, if one is given.
        option: how a pattern is given, for the error: "PATTERN" or "--regex".

    Raises:
        RellmError: not exactly one of them is given, a hole is not NAME=PATTERN, or the constraint itself is wrong.
        OSError: the grammar's file cannot be read.
    """
    given = [
        name
        for name, value in (
            (option, pattern),
            ("--grammar", arguments.grammar),
            ("--template", arguments.template),
            ("--schema", arguments.schema),
            ("--type", arguments.type),
        )
        if value is not None
    ]
    if len(given) != 1:
        found = " and ".join(given) if given else "none"
        raise RellmError(
            f"give one of {option}, --grammar FILE, --template TEXT, --schema FILE and --type MODULE:CLASS, not {found}"
        )
    if pattern is not None:
        return _regex(arguments, pattern)
    if arguments.schema is not None:
        return rellm.JsonSchema(Path(arguments.schema), on_unsupported="report")
    if arguments.type is not None:
        return as_constraint(_type(arguments.type))
    if arguments.grammar is not None:
        file = Path(arguments.grammar)
        return rellm.Grammar(file, arguments.start, "gbnf" if file.suffix in _GBNF else "lark", arguments.lexer)
    holes = {}
    for hole in arguments.hole:
        name, sign, source = hole.partition("=")
        if not sign:
            raise RellmError(f"--hole {hole}: write it as NAME=PATTERN")
        holes[name] = _regex(arguments, source)
    return rellm.Template(arguments.template, holes)


def has_pattern(arguments: argparse.Namespace) -> bool:
    """Whether the arguments ask for a pattern, and for no other kind of constraint."""
    return all(value is None for value in (arguments.grammar, arguments.template, arguments.schema, arguments.type))


def _type(name: str) -> Any:
    """The type that MODULE:CLASS names; modules of the working directory count."""
    module, sign, path = name.partition(":")
    if not sign or not module or not path:
        raise RellmError(f"--type {name}: write it as MODULE:CLASS, forms:Person")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise RellmError(f"--type {name}: {error}") from error
    finally:
        sys.path.pop(0)
    return found


def _regex(arguments: argparse.Namespace, pattern: str) -> rellm.Regex:
    return rellm.Regex(pattern, flags_of(arguments.flags, arguments.dialect), arguments.dialect)
