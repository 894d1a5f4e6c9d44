"""Makes docs/rellm.ipynb: the notebook of the ancestor's page, with its three changes, executed with its outputs."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from seeds import FOLDER, program

TARGET = Path(__file__).resolve().parent.parent / "docs" / "rellm.ipynb"

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
    nbformat.write(execute(build()), TARGET)
    print(TARGET)


if __name__ == "__main__":
    sys.exit(main())
