"""The programs of the ancestor's documentation, and the three changes with which they run here.

`testdata/seeds/` has the code of five kept copies of that page, cell by cell, as it stood there. What changes is the
line that installs, the lines that import, and the model's folder; nothing else.
"""

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "testdata" / "seeds"

_PIPELINE = "from langchain_huggingface import HuggingFacePipeline"
_IMPORTS = {
    r"from langchain(\.|_community\.)llms import HuggingFacePipeline": _PIPELINE,
    r"from langchain(\.|_)experimental\.llms import RELLM": "from rellm.integrations.langchain import RELLM",
}


def cells(path):
    """The cells of one copy as they stood there."""
    return [cell.strip("\n") for cell in path.read_text(encoding="utf-8").split("# %%\n")]


def changed(cell, model):
    """A cell with the three changes; `model` is what stands for the model's folder. Empty if it only installed."""
    lines = []
    for line in cell.splitlines():
        if re.match(r"\s*[!%]?pip install", line) or line.startswith("<!--IMPORTS:"):
            continue
        for old, new in _IMPORTS.items():
            line = re.sub(f"^{old}$", new, line)
        lines.append(line.replace('"cerebras/Cerebras-GPT-590M"', model))
    return "\n".join(lines).strip("\n")


def program(path, model):
    """The changed cells of one copy that are not empty."""
    return [cell for cell in (changed(cell, model) for cell in cells(path)) if cell]
