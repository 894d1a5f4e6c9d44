"""`rellm explain`: shows the constraint's effect on the model, token by token."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path

from rellm._cli.model import constraint_of, generation_arguments, load_generator, prompt_of
from rellm._cli.terminal import Terminal, can_show
from rellm._trace.trace import Trace, TracedToken

_BAR = 10
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    constraint = constraint_of(arguments)
    prompt = prompt_of(arguments)
    page = Path(arguments.html) if arguments.html else None
    if page is not None and not page.parent.is_dir():
        raise OSError(f"--html {page}: there is no folder {page.parent}")
    generator = load_generator(arguments.model, terminal)
    with terminal.busy("writing and tracing"):
        completion = generator(prompt, constraint, trace=True, **generation_arguments(arguments))
    trace: Trace = completion.trace
    if page is not None:
        page.write_text(trace.to_html(), encoding="utf-8")
    if arguments.json:
        answer = {"text": completion.text, "is_complete": completion.is_complete, "tokens": list(map(asdict, trace))}
        terminal.print(json.dumps(answer, ensure_ascii=False))
    else:
        _show(trace, terminal, arguments.best)
        terminal.print(str(trace), "bold")
    if page is not None:
        terminal.note(f"the page is {page}")
    if completion.is_complete:
        return 0
    terminal.error("incomplete: the text was cut off before it matched")
    return 1


def _show(trace: Trace, terminal: Terminal, best: int) -> None:
    rows = []
    for token in trace.tokens:
        style = "yellow" if token.is_overruled else None
        what = "end of the text" if token.is_end else repr(token.text)
        rows.append(
            [
                (what + (" (forced)" if token.is_forced else ""), style),
                (percent(math.exp(token.log_probability_before)), None),
                (percent(math.exp(token.log_probability_after)), None),
                (f"{bar(token.removed_mass)} {percent(token.removed_mass)}", style),
                (_refused(token, best), "dim" if not token.is_overruled else None),
            ]
        )
    terminal.table(rows, ["token", "alone", "constrained", "removed", "refused, and why"])


def _refused(token: TracedToken, best: int) -> str:
    lines = []
    for other in token.refused[:best]:
        what = "the end" if other.is_end else repr(other.text) if other.text else f"token {other.token_id}"
        lines.append(f"{what} ({percent(other.probability)}): {other.reason}")
    return "\n".join(lines)


def percent(share: float) -> str:
    """A probability in per cent, as short as possible."""
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.9995 <= share < 1:
        return ">99.9%"
    return f"{share:.1%}"


def bar(share: float) -> str:
    """A share of one as a bar of block characters."""
    if not can_show(_EIGHTHS):
        return ("#" * round(share * _BAR)).ljust(_BAR)
    eighths = round(share * _BAR * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[part] if part else "")).ljust(_BAR)
