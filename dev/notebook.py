"""Makes the notebooks in docs/, executed with their outputs: the ancestor's page, with its three changes, and an agent.

The agent's code is that of examples/agent.py, cut into cells.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from seeds import FOLDER, program

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "rellm.ipynb"
AGENT = ROOT / "docs" / "agent.ipynb"

# The text is ours; the code is the seeds'.
TEXT = [
    "# RELLM\n\n`rellm` constrains what a language model writes: every token that cannot lead to a match is masked.\n\n"
    "This is the notebook of the ancestor's documentation. What differs is the line that installs (`make test` puts "
    "all of it into `.venv`), the lines that import, and the model's folder.",
    "## Without a constraint\n\nFirst the model by itself.",
    None,
    "It does not keep to the JSON of the examples. Now the same question under a pattern.\n\n## With a constraint",
    None,
]
MODEL_CELL = (
    "import subprocess\nimport sys\n\n"
    '# The demonstration\'s model as a folder: "rellm demo --folder".\n'
    'command = [sys.executable, "-m", "rellm", "demo", "--folder"]\n'
    "folder = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()"
)
END = "Nothing to repair before it is parsed."

# Before which line of examples/agent.py a cell begins, and what stands above it.
AGENT_TEXT = {
    "from collections.abc": "# An agent on a local model\n\nEvery turn of this LangGraph agent is a valid call of a "
    "tool, or the answer that was asked for: there is nothing to retry and nothing to repair.",
    "@tool": "## A tool, and an answer",
    "@wrap_model_call": "## When to stop asking\n\n`rellm` sees to it that calls and answers are valid. Which of the "
    "two comes is the model's judgement, and a model of 135 million parameters has little: left free, it calls the "
    "tool until the graph's limit is reached. So the tools are taken away once there is a result.",
    "model = ": "## The loop",
    "for message in": None,
}
AGENT_END = (
    "The call and the answer are valid by construction. What stands in them is the model's: a larger one finds better "
    "words."
)


def build():
    code = program(FOLDER / "004.py.txt", "folder")
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    )
    put = notebook.cells.append
    put(nbformat.v4.new_markdown_cell(TEXT[0]))
    put(nbformat.v4.new_code_cell(MODEL_CELL))
    for text, cell in zip(TEXT[1:], code, strict=True):
        if text:
            put(nbformat.v4.new_markdown_cell(text))
        put(nbformat.v4.new_code_cell(cell))
    put(nbformat.v4.new_markdown_cell(END))
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    return notebook


def agent_cells():
    """The code of examples/agent.py, cell by cell."""
    lines = (ROOT / "examples" / "agent.py").read_text(encoding="utf-8").split('"""', 2)[2].strip().splitlines()
    starts = [next(i for i, line in enumerate(lines) if line.startswith(start)) for start in AGENT_TEXT]
    parts = [lines[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]
    return ["\n".join(part).strip().replace("sys.argv[1]", "folder") for part in parts]


def build_agent():
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    )
    cells = [nbformat.v4.new_code_cell(MODEL_CELL)]
    for text, code in zip(AGENT_TEXT.values(), agent_cells(), strict=True):
        if text:
            cells.append(nbformat.v4.new_markdown_cell(text))
        cells.append(nbformat.v4.new_code_cell(code))
    cells[0], cells[1] = cells[1], cells[0]  # what it is about stands first
    notebook.cells = [*cells, nbformat.v4.new_markdown_cell(AGENT_END)]
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    return notebook


def execute(notebook):
    """Run it with this interpreter as its kernel."""
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": "."}})
    client.execute()
    for cell in notebook.cells:
        cell.get("metadata", {}).pop("execution", None)  # times of day
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata.pop("language_info", None)
    return notebook


def main():
    for made, target in ((build(), TARGET), (build_agent(), AGENT)):
        if not sys.argv[1:] or target.name in sys.argv[1:]:
            nbformat.write(execute(made), target)
            print(target)


if __name__ == "__main__":
    sys.exit(main())
