"""A list of three items, on the terminal while it is written; what the pattern says, no more and no less.

python examples/stream_to_terminal.py FOLDER        (a model's folder; `rellm demo --folder` prints one)
"""

import sys

import rellm
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
generator = rellm.Generator(model, AutoTokenizer.from_pretrained(sys.argv[1]))

messages = [{"role": "user", "content": "Name three things to take on a walk in the rain."}]
three_lines = rellm.Regex(r"(?:- [A-Z][a-z ,]{3,60}\.\n){3}")

stream = generator.stream(messages, three_lines, max_new_tokens=90)
while True:
    try:
        print(next(stream), end="", flush=True)
    except StopIteration as end:
        completion = end.value
        break

print(f"[{len(completion.token_ids)} tokens, {completion.forward_passes} forward passes, {completion.finish_reason}]")
