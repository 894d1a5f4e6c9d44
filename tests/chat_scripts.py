"""A chat model that knows what to say: it reads the prompt, and answers, calls a tool, or writes JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from rellm import testing

# What it fills arguments with, by their names.
ARGUMENTS: dict[str, Any] = {
    "input": 3,
    "a": 1,
    "b": 2,
    "location": "San Francisco",
    "city": "Rome",
}
ANSWERS: dict[str, Any] = {"setup": "Why?", "punchline": "Because.", "name": "Ada", "age": 36}


def reply(prompt: str) -> str:
    """What the model wants to write after a prompt of `rellm.testing`'s chat template."""
    turns = re.findall(
        r"^(system|user|assistant|tool): (.*?)(?=^(?:system|user|assistant|tool): )", prompt, re.S | re.M
    )
    system = "".join(text for role, text in turns if role == "system")
    last = turns[-1][1] if turns else ""
    declared = re.search(r"<tools>\n(.*?)\n</tools>", system, re.S)
    wants_json = "Answer with JSON" in system or "Answer with one JSON" in system
    if declared and "<tool_response>" not in last and "Answer in text, and call no tool" not in system:
        tool = json.loads(declared[1].splitlines()[0])
        keys = tool["parameters"].get("properties", {})
        quoted = re.search("'([^']+)'", last)
        arguments = {key: ARGUMENTS.get(key, quoted[1] if quoted else "pirate") for key in keys}
        call = json.dumps({"name": tool["name"], "arguments": arguments}, ensure_ascii=False)
        return f"<tool_call>\n{call}\n</tool_call>"
    if wants_json:
        keys = re.findall(r'^- "(\w+)"', system, re.M)
        return json.dumps({key: ANSWERS.get(key, "so") for key in keys})
    if "<tool_response>" in last:
        return f"The tool says {last.strip().removeprefix('<tool_response>').removesuffix('</tool_response>').strip()}."
    return "Hello there, how are you?"


def model(**fields: Any) -> Any:
    """A `ChatRELLM` of this script."""
    from rellm.integrations.langchain import ChatRELLM

    tokenizer = testing.tiny_tokenizer()
    return ChatRELLM(model=testing.scripted_model(reply, tokenizer), tokenizer=tokenizer, **fields)


def saying(text: Any, template: str | None = None, special_tokens: Any = (), **fields: Any) -> Any:
    """A `ChatRELLM` that says this text, or these, one a row."""
    from rellm.integrations.langchain import ChatRELLM

    tokenizer = testing.tiny_tokenizer(special_tokens=special_tokens)
    if template is not None:
        tokenizer.chat_template = template
    return ChatRELLM(model=testing.scripted_model(text, tokenizer), tokenizer=tokenizer, **fields)
