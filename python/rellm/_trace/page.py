"""A trace as an HTML page: one file, no network; light and dark; by mouse or keyboard; readable without colour."""

from __future__ import annotations

import html
import importlib.resources
import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rellm._trace.trace import Trace, TracedToken


def page(trace: Trace) -> str:
    """The whole page."""
    template = importlib.resources.files("rellm._trace").joinpath("page.html").read_text(encoding="utf-8")
    parts = {
        "constraint": html.escape(trace.constraint) if trace.constraint else "<em>none</em>",
        "totals": _totals(trace),
        "tokens": "".join(_token(i, token) for i, token in enumerate(trace.tokens)),
        "plot": _plot(trace),
        "data": _as_json([_details(token) for token in trace.tokens]),
    }
    for name, part in parts.items():
        template = template.replace(f"<!--{name}-->", part, 1)
    return template


def notebook_frame(trace: Trace) -> str:
    """The page in an iframe, so that its style and script do not mix with the notebook's."""
    source = html.escape(page(trace), quote=True)
    return (
        f'<iframe srcdoc="{source}" sandbox="allow-scripts" title="What the constraint did" '
        'style="width:100%;height:640px;border:0;border-radius:8px"></iframe>'
    )


def _totals(trace: Trace) -> str:
    worst = max((token.removed_mass for token in trace.tokens), default=0.0)
    alone = _chance(trace.log_probability_before)
    rows = [
        (f"{len(trace.tokens)}", "tokens", "written, the end of the text included where it was one"),
        (f"{trace.forced}", "forced", "the constraint left no other text"),
        (f"{trace.overruled}", "overruled", "the model's own first choice was refused"),
        (_percent(trace.mean_removed_mass), "removed on average", f"the most at one token: {_percent(worst)}"),
        (f"{trace.bits:.1f} bits", "bent", "−log2 of the chance that nothing would have been refused on the way"),
        (
            alone,
            "the model alone",
            f"the chance that it writes exactly this; {_chance(trace.log_probability_after)} when constrained",
        ),
    ]
    return "".join(
        f'<div title="{html.escape(why)}"><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>'
        f"<small>{html.escape(why)}</small></div>"
        for value, name, why in rows
    )


def _token(index: int, token: TracedToken) -> str:
    level = 0 if token.removed_mass < 0.005 else min(5, 1 + int(token.removed_mass * 5))
    classes = [f"m{level}", *(["forced"] if token.is_forced else []), *(["overruled"] if token.is_overruled else [])]
    shown = "■ end" if token.is_end else token.text
    visible = html.escape(shown)
    # A line break stays a line break, and is made visible.
    visible = visible.replace("\r", "␍").replace("\n", "<i>↵</i>\n").replace("\t", "<i>⇥</i>\t")
    spoken = [
        f"token {index + 1}: {'end of the text' if token.is_end else json.dumps(token.text, ensure_ascii=False)}",
        f"{_percent(token.removed_mass)} removed",
        *(["first choice refused"] if token.is_overruled else []),
        *(["forced"] if token.is_forced else []),
        *([f"in {token.path}"] if token.path else []),
    ]
    label = html.escape(", ".join(spoken), quote=True)
    selected = "true" if index == 0 else "false"
    return (
        f'<span role="option" class="{" ".join(classes)}" id="t{index}" data-i="{index}" '
        f'aria-selected="{selected}" aria-label="{label}" tabindex="{0 if index == 0 else -1}">{visible}</span>'
    )


def _plot(trace: Trace) -> str:
    """A bar chart of the removed mass, one bar per token; a click on a bar selects its token."""
    count = max(len(trace.tokens), 1)
    step = 1000 / count
    width = max(step - min(2.0, step * 0.2), 0.5)
    bars = "".join(
        f'<g class="bar" data-i="{i}"><rect class="hit" x="{i * step:.2f}" y="0" width="{step:.2f}" height="100"/>'
        f'<rect class="mass{" forced" if token.is_forced else ""}" x="{i * step:.2f}" '
        f'y="{100 - 100 * token.removed_mass:.2f}" width="{width:.2f}" height="{100 * token.removed_mass:.2f}"/>'
        f"<title>{i + 1}: {_percent(token.removed_mass)} removed</title></g>"
        for i, token in enumerate(trace.tokens)
    )
    return (
        '<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" '
        f'aria-label="Removed probability along the text, on average {_percent(trace.mean_removed_mass)}">'
        f'<path class="grid" d="M0 25H1000M0 50H1000M0 75H1000" />{bars}<path class="axis" d="M0 100H1000" /></svg>'
    )


def _details(token: TracedToken) -> dict[str, Any]:
    return {
        "text": token.text,
        "id": token.token_id,
        "before": _chance(token.log_probability_before),
        "after": _chance(token.log_probability_after),
        "removed": _percent(token.removed_mass),
        "mass": round(token.removed_mass, 6),
        "forced": token.is_forced,
        "overruled": token.is_overruled,
        "end": token.is_end,
        "path": token.path,
        "refused": [
            {
                "text": other.text,
                "end": other.is_end,
                "id": other.token_id,
                "p": _percent(other.probability),
                "why": other.reason,
                "share": round(other.probability, 6),
            }
            for other in token.refused
        ],
    }


def _as_json(value: Any) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _percent(share: float) -> str:
    if share <= 0:
        return "0 %"
    if share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return f"{share:.1%}".replace("%", " %").replace("100.0", "100")


def _chance(log_probability: float) -> str:
    """A probability for readers: per cent, or a power of ten where it is very small."""
    if log_probability >= math.log(0.0005):
        return _percent(math.exp(min(log_probability, 0.0)))
    if math.isinf(log_probability):
        return "0 %"
    exponent = math.floor(log_probability / math.log(10))
    digit = round(math.exp(log_probability - exponent * math.log(10)))
    if digit == 10:
        digit, exponent = 1, exponent + 1
    return f"{digit}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10{str(exponent).translate(_RAISED)}"


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
