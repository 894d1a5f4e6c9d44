"""The measured process of `benchmarks/json_schema.py`: one engine; a line of JSON in, a line of JSON out.

    python -m comparison.json_worker ENGINE DATA

{"case": i}              the schema i, and its instances, token by token
{"batch": [i, …], "steps": n}   these schemas at once, n steps

All times are nanoseconds of CPU time of the whole process, threads included.
"""

import gc
import importlib
import json
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

from engines import Tokenizer

from comparison import vocabularies
from comparison.worker import clock_cost, resident

clock = time.process_time_ns


def run_case(engine, vocabulary, case, cost):
    """The first mask with all that comes before it, and each step of the texts; the error of an engine that refuses."""
    found = {"steps": [], "rejected": 0, "texts": 0}
    compiled = None
    schema = case["schema"]
    before = clock()
    try:
        compiled = engine.compile_json_schema(vocabulary, schema)
        text = engine.start(compiled)
        text.fill()
    except BaseException as error:  # an engine's own refusal, of whatever type; a panic is a BaseException
        return {"refused": f"{type(error).__name__}: {error}"[:200]}
    found["first"] = clock() - before - cost
    for number, ids in enumerate(case["texts"]):
        if number:
            text = engine.start(compiled)
            text.fill()
        steps = []
        for token in ids:
            before = clock()
            try:
                accepted = text.advance(token)
                text.fill()
            except BaseException:
                accepted = False
            if accepted is False:
                found["rejected"] += 1
                break
            steps.append(clock() - before - cost)
        else:
            found["texts"] += 1
        found["steps"].append(steps)
    if hasattr(engine, "memory"):
        found["memory"] = engine.memory(compiled)
    return found


def run_batch(engine, vocabulary, cases, steps, cost):
    """Each step of many texts at once: all masks, then a token each. A text that ends begins again."""
    compileds = [engine.compile_json_schema(vocabulary, case["schema"]) for case in cases]
    fill, advances = engine.batch(vocabulary, compileds)
    times = []
    for step in range(steps):
        before = clock()
        fill()
        for case, advance in zip(cases, advances, strict=True):
            advance(case["texts"][0][step])
        times.append(clock() - before - cost)
    return {"batch": times}


def main() -> None:
    name, folder = sys.argv[1:]
    data = Path(folder)
    tokens = vocabularies.read(data / "tekken.tokens")
    tokenizer = Tokenizer(tokens, vocabularies.TEKKEN_EOS, (data / "split.txt").read_text())
    engine = importlib.import_module(f"engines.{name}")
    package = engine.REQUIREMENTS[0].split("==")[0] if name != "rellm" else "rellm-masks"
    cases = [json.loads(line) for line in (data / "schemas.jsonl").read_text().splitlines()]
    cost = clock_cost()
    vocabulary = engine.load(tokenizer)
    loaded = resident()
    print(json.dumps({"version": version(package)}), flush=True)
    gc.collect()
    gc.freeze()
    gc.disable()
    for line in sys.stdin:
        command = json.loads(line)
        if "batch" in command:
            found = run_batch(engine, vocabulary, [cases[i] for i in command["batch"]], command["steps"], cost)
        else:
            found = run_case(engine, vocabulary, cases[command["case"]], cost)
        gc.collect()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({**found, "peak": max(peak - loaded, 0)}), flush=True)


if __name__ == "__main__":
    main()
