"""Declares tools in a system message, for a model whose chat template does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rellm._constraints.tool_calls.calls import ToolCalls

_EXAMPLE: Final = {"name": "the name", "args": {"an argument": "its value"}, "id": "a1b2c3d4e"}


def declared(calls: ToolCalls) -> str:
    """A text for the system message: the tools, how to call one, and whether one must be called."""
    tools = "\n".join(json.dumps(tool.to_openai()["function"], ensure_ascii=False) for tool in calls.tools)
    words = {"auto": "Answer in text, or call a tool.", "none": "Answer in text, and call no tool."}
    wanted = "Call a tool." if not isinstance(calls.choice, str) else words.get(calls.choice, "Call a tool.")
    if isinstance(calls.choice, tuple):
        wanted = f"Call {' or '.join(calls.choice)}."
    if not calls.tools or calls.choice == "none":
        return wanted
    return (
        f"You can call these tools, one JSON object a line:\n<tools>\n{tools}\n</tools>\n{wanted} "
        f"To call one, write its name and its arguments in exactly this form:\n{calls.layout.write([_EXAMPLE])}"
    )
