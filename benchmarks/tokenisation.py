"""How often a model leaves the tokens that its tokenizer would write, with `tokenisation="canonical"` and without.

    python benchmarks/tokenisation.py [FOLDER] [--count 20]

FOLDER is a model's folder; without it, the demonstration's model. Each text is written after a prompt, greedily and at
temperature 1.5; then prompt and text are cut into tokens by the tokenizer, and the two cuts are compared. Prints a
table.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import rellm
import torch
import transformers
from rellm._demo_model import model_folder

TASKS: dict[str, tuple[str, Any]] = {
    "a url": ("The url of {} is ", r"https?://\S{1,40}"),
    "words": ("Three words about {}: ", r"[a-z]{1,12}(, [a-z]{1,12}){2}"),
    "a name": ("{} as a name without vowels: ", r"[b-df-hj-np-tv-z]{4,20}"),
    "a form": (
        "{} as JSON: ",
        rellm.JsonSchema(
            {
                "type": "object",
                "properties": {"title": {"type": "string", "maxLength": 40}, "year": {"type": "integer"}},
                "required": ["title", "year"],
                "additionalProperties": False,
            }
        ),
    ),
}
TOPICS = ("Paris", "cars", "Ada Lovelace", "the weather", "invoices", "tea", "a lighthouse", "chess", "snow", "jazz")
WAYS: dict[str, dict[str, Any]] = {
    "canonical, healed": {"tokenisation": "canonical", "token_healing": True},
    "any, healed": {"token_healing": True},
    "any": {},
    "canonical": {"tokenisation": "canonical"},
}


def is_canonical(generator: rellm.Generator, prompt: str, completion: rellm.Completion) -> bool:
    """Whether the tokens of prompt and text are those of the two together."""
    tokenizer = generator.tokenizer
    whole = tokenizer(prompt + completion.text)["input_ids"]
    written = list(completion.token_ids)
    return bool(whole[len(whole) - len(written) :] == written and tokenizer.decode(whole) == prompt + completion.text)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", nargs="?", help="a model's folder; by default the demonstration's")
    arguments.add_argument("--count", type=int, default=20, help="how many texts in each cell")
    arguments.add_argument("--threads", type=int, default=None, help="of torch")
    given = arguments.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    folder = given.folder or str(model_folder())
    generator = rellm.Generator(
        transformers.AutoModelForCausalLM.from_pretrained(folder), transformers.AutoTokenizer.from_pretrained(folder)
    )
    asked = [
        (prompt.format(topic), constraint)
        for topic in TOPICS
        for prompt, constraint in TASKS.values()
    ][: given.count]  # fmt: skip
    print("| tokenisation | temperature 0 | temperature 1.5 | CPU time a token |\n|---|---|---|---|", flush=True)
    for name, options in WAYS.items():
        cells, tokens, start = [], 0, time.process_time()
        for sampling in ({"do_sample": False}, {"do_sample": True, "temperature": 1.5}):
            torch.manual_seed(1)
            left = 0
            for prompt, constraint in asked:
                completion = generator(prompt, constraint, 24, **sampling, **options)
                tokens += len(completion.token_ids)
                left += not is_canonical(generator, prompt, completion)
            cells.append(f"{left} of {len(asked)}")
        took = 1000 * (time.process_time() - start) / tokens
        print(f"| {name} | {' | '.join(cells)} | {took:.0f} ms |", flush=True)


if __name__ == "__main__":
    main()
