"""JSON Schema beside llguidance and xgrammar: time to the first mask, and each step of the schemas' own instances.

    python benchmarks/json_schema.py                       all schemas and engines
    python benchmarks/json_schema.py --count 40            only so many schemas
    python benchmarks/json_schema.py --rellm-python PATH   an interpreter that has rellm already

The schemas are a file of lines `{"name", "schema", "tests": [{"valid", "data"}]}` (xz), by default the one that lies
beside the project. Each engine runs in an environment and a process of its own; all times are CPU time, on Tekken.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
ENGINES = ["rellm", "llguidance", "xgrammar"]


def compiled(engine, vocabulary, schema):
    """The engine's own way from the text of a schema to something that `start` takes."""
    tokens, row = vocabulary
    if engine == "rellm":
        import rellm

        return rellm.compile(rellm.JsonSchema(schema, on_unsupported="report"), tokens), row
    if engine == "llguidance":
        import llguidance

        matcher = llguidance.LLMatcher(tokens, llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema)))
        if matcher.is_error():
            raise ValueError(matcher.get_error())
        return [matcher, matcher], row
    return tokens.compile_json_schema(json.dumps(schema), any_whitespace=True), row


def worker(engine_name, data):
    """Measures one engine and prints a line of JSON a schema."""
    from importlib import import_module

    from comparison import vocabularies
    from engines import Tokenizer

    engine = import_module(f"engines.{engine_name}")
    tokens = vocabularies.read(data / "tekken.tokens")
    split = (data / "split.txt").read_text()
    vocabulary = engine.load(Tokenizer(tokens, vocabularies.TEKKEN_EOS, split))
    for line in (data / "schemas.jsonl").read_text().splitlines():
        case = json.loads(line)
        found = {"name": case["name"]}
        start = time.process_time()
        try:
            constraint = compiled(engine_name, vocabulary, case["schema"])
            text = engine.start(constraint)
            text.fill()
        except Exception as error:
            print(json.dumps({**found, "refused": f"{type(error).__name__}: {error}"[:200]}), flush=True)
            continue
        found["first"] = time.process_time() - start
        steps, rejected = [], 0
        for ids in case["texts"]:
            text = engine.start(compiled(engine_name, vocabulary, case["schema"])) if steps else text
            text.fill()
            for token in ids:
                start = time.process_time()
                try:
                    ok = text.advance(token)
                    text.fill()
                except Exception:
                    ok = False
                if ok is False:
                    rejected += 1
                    break
                steps.append(time.process_time() - start)
        print(json.dumps({**found, "steps": steps, "rejected": rejected}), flush=True)


def prepare(python, schemas, count, data):
    """Writes the vocabulary and the tokens of the valid instances."""
    data.mkdir(parents=True, exist_ok=True)
    code = f"""
import json, lzma, sys
sys.path.insert(0, {str(HERE)!r})
from pathlib import Path
from comparison import vocabularies
import mistral_common, tiktoken
folder = Path(mistral_common.__file__).parent / "data"
tekken = json.loads(next(folder.glob("tekken*.json")).read_text())
size = tekken["config"]["default_vocab_size"]
special = tekken["config"]["default_num_special_tokens"]
import base64
words = [base64.b64decode(entry["token_bytes"]) for entry in tekken["vocab"]][: size - special]
split = tekken["config"]["pattern"]
data = Path({str(data)!r})
vocabularies.write(data / "tekken.tokens", [None] * special + words)
(data / "split.txt").write_text(split)
ranks = {{word: i for i, word in enumerate(words)}}
encoding = tiktoken.Encoding("tekken", pat_str=split, mergeable_ranks=ranks, special_tokens={{}})
with lzma.open({str(schemas)!r}, "rt") as lines, open(data / "schemas.jsonl", "w") as out:
    for number, line in enumerate(lines):
        if number == {count}:
            break
        row = json.loads(line)
        texts = [json.dumps(t["data"], ensure_ascii=False) for t in row["tests"] if t["valid"]]
        ids = [[special + i for i in encoding.encode_ordinary(text)][:2000] for text in texts]
        out.write(json.dumps({{"name": row["name"], "schema": row["schema"], "texts": ids}}) + chr(10))
"""
    subprocess.run([python, "-c", code], check=True)


def quantile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--schemas", type=Path, default=HERE.parent.parent / "shared/data/real_schemas.jsonl.xz")
    parser.add_argument("--rellm-python", type=Path)
    parser.add_argument("--engines", nargs="+", default=ENGINES)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    from comparison import environments

    data = environments.ROOT / "json_schema"
    if options.worker:
        worker(options.worker, data)
        return 0
    pythons = environments.create(HERE.parent, options.engines, options.rellm_python, with_torch=False)
    tools = environments._environment("json-tools", ["mistral-common", "tiktoken"])
    prepare(tools, options.schemas, options.count, data)
    found = {}
    for engine in options.engines:
        command = [pythons[engine], __file__, "--worker", engine]
        out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        found[engine] = {row["name"]: row for row in map(json.loads, out.splitlines())}
    (data / "results.json").write_text(json.dumps(found))
    print("| engine | compiled | first mask ms p50 / p95 / max | mask + advance µs mean / p50 / p99 / max | rejected |")
    print("|---|---|---|---|---|")
    for engine, rows in found.items():
        firsts = [row["first"] * 1e3 for row in rows.values() if "first" in row]
        steps = [step * 1e6 for row in rows.values() for step in row.get("steps", ())]
        rejected = sum(row.get("rejected", 0) for row in rows.values())
        mean = sum(steps) / max(len(steps), 1)
        print(
            f"| {engine} | {len(firsts)} of {len(rows)} "
            f"| {quantile(firsts, 0.5):.2f} / {quantile(firsts, 0.95):.2f} / {max(firsts, default=0):.1f} "
            f"| {mean:.1f} / {quantile(steps, 0.5):.1f} / {quantile(steps, 0.99):.0f} / {max(steps, default=0):.0f} "
            f"| {rejected} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
