"""How many answers and calls are valid: `ChatRELLM` on a real model and under random scores, beside `ChatHuggingFace`.

    python benchmarks/chat_validity.py [FOLDER] [--prompts 20] [--part 5] [--random 3000]

FOLDER is a model's folder; without it, the demonstration's model. Twenty prompts meet five schemas and five tools at
temperature 0 and 1.5; a part of them also without `instructions`, without a constraint, and with `ChatHuggingFace`.
A third of the prompts goes through padded batches, a third through streams, the rest one by one. What is valid is
decided by the package jsonschema, which shares nothing with this one. Prints a table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonschema
import rellm
import torch
import transformers
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import JsonOutputParser
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_huggingface import ChatHuggingFace, HuggingFacePipeline
from rellm import testing
from rellm._demo_model import model_folder
from rellm.integrations.langchain import ChatRELLM

MOST_TOKENS = 60
PROMPTS = [
    f"{ask} {topic}."
    for topic in ("Paris", "a red car", "Ada Lovelace", "the weather", "an invoice of 12 euros")
    for ask in ("Tell me about", "Write down", "What do you know of", "Give me the facts about")
]
TEXT = {"type": "string", "maxLength": 40}


def closed(title: str, description: str, **properties: Any) -> dict[str, Any]:
    """The schema of an object with these properties, all of them required, and no others."""
    return {
        "title": title, "description": description, "type": "object", "properties": properties,
        "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


SCHEMAS = [
    closed("Person", "Somebody.", name=TEXT, age={"type": "integer", "minimum": 0, "maximum": 150}),
    closed("Mood", "How something sounds.", mood={"enum": ["good", "bad", "mixed"]}),
    closed("Tags", "Words for a topic.", tags={"type": "array", "items": TEXT, "minItems": 1, "maxItems": 3}),
    closed("Day", "A day of the calendar.", on={"type": "string", "format": "date"}),
    closed("Price", "What something costs.", amount={"type": "number", "minimum": 0}, paid={"type": "boolean"}),
]
TOOLS = [
    {"name": f"save_{schema['title'].lower()}", "description": schema["description"], "parameters": schema}
    for schema in SCHEMAS
]
BY_NAME = {tool["name"]: tool["parameters"] for tool in TOOLS}


def is_valid(value: Any, schema: Any) -> bool:
    try:
        jsonschema.validate(value, schema, format_checker=jsonschema.FormatChecker())
    except jsonschema.ValidationError:
        return False
    return True


def calls_are_valid(message: Any, only: str | None = None) -> bool:
    """Whether a message holds calls, and each is of a tool that there is, with arguments that its schema takes."""
    return bool(message.tool_calls) and all(
        call["name"] in BY_NAME
        and (only is None or call["name"] == only)
        and is_valid(call["args"], BY_NAME[call["name"]])
        for call in message.tool_calls
    )


@dataclass
class Count:
    """How many were asked for, and how many were valid."""

    valid: int = 0
    asked: int = 0
    seconds: float = field(default=0.0, compare=False)

    def add(self, found: Sequence[bool]) -> None:
        self.valid += sum(found)
        self.asked += len(found)

    def __str__(self) -> str:
        return f"{self.valid} of {self.asked}"


def told(model: Any, prompts: Sequence[str], **options: Any) -> list[Any]:
    """What a runnable answers: to a part of the prompts in batches, to a part in streams, to the rest one by one."""
    some, others = prompts[::3], prompts[1::3]
    found = list(model.batch(list(some), **options))
    for prompt in others:
        total = None
        for chunk in model.stream(prompt, **options):
            # Values come whole, each better than the last; messages come in pieces.
            total = total + chunk if isinstance(total, BaseMessage) and isinstance(chunk, BaseMessage) else chunk
        found.append(total)
    return found + [model.invoke(prompt, **options) for prompt in prompts[2::3]]


def count_answers(chat: ChatRELLM, prompts: Sequence[str]) -> Count:
    count, start = Count(), time.perf_counter()
    for schema in SCHEMAS:
        count.add([is_valid(value, schema) for value in told(chat.with_structured_output(schema), prompts)])
    count.seconds = time.perf_counter() - start
    return count


def count_calls(chat: ChatRELLM, prompts: Sequence[str]) -> Count:
    count, start = Count(), time.perf_counter()
    for tool in TOOLS:
        bound = chat.bind_tools(TOOLS, tool_choice=tool["name"])
        count.add([calls_are_valid(message, tool["name"]) for message in told(bound, prompts)])
    count.seconds = time.perf_counter() - start
    return count


def count_chosen(chat: ChatRELLM, prompts: Sequence[str]) -> tuple[Count, int]:
    """Messages in which the model chose between text and a call: valid ones, and how many called."""
    found = told(chat.bind_tools(TOOLS), prompts)
    count = Count()
    count.add([not message.tool_calls or calls_are_valid(message) for message in found])
    return count, sum(bool(message.tool_calls) for message in found)


def overruled(chat: ChatRELLM, prompts: Sequence[str]) -> tuple[int, int]:
    """At how many tokens the model's own first choice was refused, of how many that it chose."""
    refused = chosen = 0
    for schema in SCHEMAS:
        for prompt in prompts:
            message = chat.invoke(prompt, response_format=schema, trace=True)
            tokens = [token for token in message.response_metadata["trace"].tokens if not token.is_forced]
            refused += sum(token.is_overruled for token in tokens)
            chosen += len(tokens)
    return refused, chosen


def parsed(message: AIMessage) -> Any:
    """What LangChain's own parser reads, which forgives fences and cut-off objects."""
    try:
        return JsonOutputParser().invoke(message)
    except Exception:
        return None


def count_unconstrained(chat: ChatRELLM, prompts: Sequence[str], *, is_told: bool) -> Count:
    """Valid answers of the model left free, told the schema or not."""
    count = Count()
    for schema in SCHEMAS:
        text = rellm.describe(rellm.JsonSchema(schema)) if is_told else False
        count.add([is_valid(parsed(chat.invoke(prompt, instructions=text)), schema) for prompt in prompts])
    return count


def count_beside(llm: HuggingFacePipeline, prompts: Sequence[str]) -> tuple[Count, Count]:
    """Valid answers and calls of `ChatHuggingFace`, asked as its documentation says."""
    chat = ChatHuggingFace(llm=llm)
    answers, calls = Count(), Count()
    for schema in SCHEMAS:
        asked = chat.with_structured_output(schema, method="json_schema", include_raw=True)
        answers.add([is_valid(asked.invoke(prompt)["parsed"], schema) for prompt in prompts])
    for tool in TOOLS:
        bound = chat.bind_tools([convert_to_openai_tool(tool)], tool_choice=tool["name"])
        calls.add([calls_are_valid(bound.invoke(prompt), tool["name"]) for prompt in prompts])
    return answers, calls


def random_model(tokenizer: Any, seed: int) -> Any:
    """A model whose scores are random numbers, new ones at each place."""
    model = testing.scripted_model("x", tokenizer)
    generator = torch.Generator().manual_seed(seed)
    width = model.config.vocab_size
    made = type(model(torch.tensor([[0]])))

    def forward(input_ids: Any, *_: Any, **__: Any) -> Any:
        return made(logits=torch.randn((*input_ids.shape[:1], 1, width), generator=generator).expand(
            -1, input_ids.shape[1], -1
        ))  # fmt: skip

    model.forward = forward
    return model


def random_prompts(count: int) -> list[str]:
    return [f"{PROMPTS[number % len(PROMPTS)]} ({number})" for number in range(count)]


def rows(folder: str, prompts: list[str], part: list[str]) -> Iterator[tuple[str, ...]]:
    """The lines of the table for the real model."""
    pipeline = transformers.pipeline("text-generation", model=folder)
    for instructions, some in (("auto", prompts), (False, part)):
        for temperature in (0.0, 1.5) if some else ():
            chat = ChatRELLM(
                pipeline=pipeline, max_tokens=MOST_TOKENS, seed=1, temperature=temperature, instructions=instructions
            )
            answers, calls = count_answers(chat, some), count_calls(chat, some)
            note = f"{answers.seconds + calls.seconds:.0f} s"
            if instructions == "auto":
                chosen, called = count_chosen(chat, some)
                note += f'; with `tool_choice="auto"` {chosen} messages, {called} of them calls'
            yield f"`ChatRELLM`, `instructions={instructions!r}`", str(temperature), str(answers), str(calls), note
    if not part:
        return
    for instructions in ("auto", False):
        chat = ChatRELLM(pipeline=pipeline, max_tokens=MOST_TOKENS, seed=1, temperature=0, instructions=instructions)
        refused, written = overruled(chat, part)
        free = count_unconstrained(chat, part, is_told=instructions == "auto")
        said = "is told the schema" if instructions == "auto" else "is not told"
        note = f"under the constraint its first choice was refused at {refused} of {written} tokens that it chose"
        yield f"the model left free, which {said}", "0", str(free), "", note
    made = transformers.pipeline(
        "text-generation", model=folder, max_new_tokens=MOST_TOKENS, return_full_text=False, do_sample=False
    )
    found, called_beside = count_beside(HuggingFacePipeline(pipeline=made), part)
    yield "`ChatHuggingFace`", "0", str(found), str(called_beside), "`json_schema`; `tool_choice` names the tool"


def random_row(folder: str, count: int) -> tuple[str, ...]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    chat = ChatRELLM(model=random_model(tokenizer, seed=7), tokenizer=tokenizer, max_tokens=MOST_TOKENS, batch_size=16)
    prompts = random_prompts(-(-count // (len(SCHEMAS) + len(TOOLS))))
    answers, calls = count_answers(chat, prompts), count_calls(chat, prompts)
    return "`ChatRELLM`, random scores", "", str(answers), str(calls), f"{answers.seconds + calls.seconds:.0f} s"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", nargs="?", help="a model's folder; by default the demonstration's")
    arguments.add_argument(
        "--prompts", type=int, default=20, help="how many prompts the first lines are about; 0 for none"
    )
    arguments.add_argument("--part", type=int, default=5, help="how many of them the other lines are about")
    arguments.add_argument("--random", type=int, default=3000, help="how many texts under random scores; 0 for none")
    arguments.add_argument("--threads", type=int, default=None, help="of torch")
    given = arguments.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    folder = given.folder or str(model_folder())
    print("| model | temperature | valid answers | valid calls | |\n|---|---|---|---|---|", flush=True)
    if given.prompts or given.part:
        for row in rows(folder, PROMPTS[: given.prompts], PROMPTS[: given.part]):
            print(f"| {' | '.join(row)} |", flush=True)
    if given.random:
        print(f"| {' | '.join(random_row(folder, given.random))} |", flush=True)


if __name__ == "__main__":
    main()
