"""`rellm sample`: texts that match a pattern, at random."""

from __future__ import annotations

import argparse
import json

from rellm._cli.requested import requested_constraint
from rellm._cli.terminal import Terminal
from rellm._engines.sampling import sample


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    constraint = requested_constraint(arguments, arguments.pattern, "PATTERN")
    found = 0
    with terminal.progress("sampling", arguments.count) as bar:
        for text in sample(constraint, arguments.count, seed=arguments.seed, length=arguments.length):
            terminal.print(json.dumps(text, ensure_ascii=False) if arguments.json else text)
            bar.advance()
            found += 1
    if not found:
        terminal.error("no text that matches was found; the search engine walks at random and can miss what is rare")
        return 1
    if found < arguments.count:
        terminal.note(f"{found} of {arguments.count}: no other texts were found")
    return 0
