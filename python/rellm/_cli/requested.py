"""The constraint that a command is given: a pattern, a grammar or a template."""

from __future__ import annotations

import argparse
from pathlib import Path

import rellm
from rellm._cli.arguments import flags_of
from rellm._constraints.base import Constraint
from rellm._errors import RellmError

_GBNF = {".gbnf", ".ebnf"}


def requested_constraint(arguments: argparse.Namespace, pattern: str | None, option: str) -> Constraint:
    """What the arguments ask for.

    Args:
        arguments: those of the command.
        pattern: the pattern, if one is given.
        option: how a pattern is given, for the error: "PATTERN" or "--regex".

    Raises:
        RellmError: not exactly one of them is given, or a hole is no NAME=PATTERN; what the constraint itself raises.
        OSError: the grammar's file cannot be read.
    """
    given = [
        name
        for name, value in ((option, pattern), ("--grammar", arguments.grammar), ("--template", arguments.template))
        if value is not None
    ]
    if len(given) != 1:
        found = " and ".join(given) if given else "none"
        raise RellmError(f"give one of {option}, --grammar FILE and --template TEXT, not {found}")
    if pattern is not None:
        return _regex(arguments, pattern)
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
    """Whether a pattern is asked for, and not a grammar or a template."""
    return arguments.grammar is None and arguments.template is None


def _regex(arguments: argparse.Namespace, pattern: str) -> rellm.Regex:
    return rellm.Regex(pattern, flags_of(arguments.flags, arguments.dialect), arguments.dialect)
