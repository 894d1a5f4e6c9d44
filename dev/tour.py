"""Makes docs/structured-output.ipynb: a tour of structured output, executed with its outputs."""

import nbformat
from notebook import ROOT, execute

TARGET = ROOT / "docs" / "structured-output.ipynb"

# A tour of structured output: text and code by turns.
TOUR = [
    "# Structured output\n\nHand the generator a type, and a value of it comes back. The model is the small one of the "
    "demonstration; any folder, `.gguf` file or name on the hub does.",
    'import rellm\n\ngenerator = rellm.Generator.from_pretrained("smollm2")',
    "## A number, a choice",
    'messages = [{"role": "user", "content": "How many legs has a cat? A number only."}]\n'
    "print(generator(messages, rellm.types.integer(ge=1, le=9)).value)\n"
    'print(generator("Is water wet? Answer: ", rellm.Choice(["yes", "no"])).value)',
    "## A Pydantic model\n\nWhat is written is JSON in the model's own tokens; an instance comes back.",
    "import pydantic\n\n\nclass City(pydantic.BaseModel):\n    name: str = pydantic.Field(max_length=20)\n"
    "    country: str = pydantic.Field(max_length=20)\n    is_capital: bool\n\n\n"
    'prompt = "Paris is the capital of France.\\nThe same as JSON: "\n'
    "completion = generator(prompt, City, max_new_tokens=60, trace=True)\n"
    "print(completion.text)\nprint(repr(completion.value))",
    "## How sure was it?\n\nBy JSON pointer: the probability of each value, under the constraint.",
    "for pointer, probability in completion.value_probabilities.items():\n"
    '    print(f"{pointer:<12} {probability:.2f}")',
    "## While it is written",
    "stream = generator.stream(prompt, City, max_new_tokens=60)\nseen = []\nfor _ in stream:\n"
    "    value = str(stream.partial_value)\n    if value not in seen:\n        seen.append(value)\n"
    "        print(value)",
    "## What a schema enforces\n\nA slip is told before any text is written.",
    'schema = rellm.JsonSchema({"type": "object", "properties": {"age": {"type": "integer", "maximun": 150}}})\n'
    "for entry in schema.report():\n    print(entry)",
]


def build_tour():
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    )
    for number, cell in enumerate(TOUR):
        make = nbformat.v4.new_code_cell if number % 2 else nbformat.v4.new_markdown_cell
        notebook.cells.append(make(cell))
        notebook.cells[-1]["id"] = f"cell-{number}"
    return notebook


if __name__ == "__main__":
    nbformat.write(execute(build_tour()), TARGET)
    print(TARGET)
