"""Ten messages, ten filled forms: one batch, one constraint, and the groups of the pattern are the fields.

python examples/fill_forms.py FOLDER        (a model's folder; `rellm demo --folder` prints one)
"""

import sys

import rellm
from transformers import AutoModelForCausalLM, AutoTokenizer

MESSAGES = [
    "Hi, my parcel 4471 arrived broken. Please send a new one. Anna",
    "Where is order 8820? I have waited for two weeks. Tom",
    "I love the blue chair from order 1009, thank you! Mia",
    "Order 3356 was the wrong size, I want my money back. Luis",
    "Could you tell me when order 7712 will be shipped? Kim",
    "The lamp in order 2048 does not work. Very angry. Otto",
    "Just wanted to say that order 6001 is perfect. Eve",
    "Please cancel order 5150, I ordered it twice. Raj",
    "My order 9093 came with a scratch on the table. Lena",
    "Is it possible to change the address of order 4242? Paul",
]

PROMPT = """Message: The cup in order 1234 was broken. Ben
Order: 1234
Name: Ben
Kind: complaint

Message: When do I get order 9876? Sue
Order: 9876
Name: Sue
Kind: question

Message: {message}
"""

form = rellm.Regex(
    r"Order: (?P<order>[0-9]{4})\nName: (?P<name>[A-Z][a-z]+)\nKind: (?P<kind>complaint|question|praise)\n"
)

model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
generator = rellm.Generator(model, AutoTokenizer.from_pretrained(sys.argv[1]))

prompts = [PROMPT.format(message=message) for message in MESSAGES]
for completion in generator(prompts, form, max_new_tokens=40):
    fields = completion.match.groupdict()
    print(f"{fields['order']}  {fields['name']:<6}  {fields['kind']}")
