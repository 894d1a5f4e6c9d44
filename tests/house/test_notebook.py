"""The seeds: five copies of the ancestor's page, unchanged but for install line, imports and model's folder."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "dev"))

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("transformers")
pytest.importorskip("langchain_core")

import notebook as made  # noqa: E402
import seeds  # noqa: E402
import tour  # noqa: E402

NOTEBOOK = ROOT / "docs" / "rellm.ipynb"
COPIES = sorted(seeds.FOLDER.glob("*.py.txt"))


def normal(cells):
    """Cells with their imports in one order: the copies differ in it."""
    return [
        "\n".join(
            [*sorted(re.findall(r"^from .*$", cell, re.M)), *re.sub(r"^from .*\n", "", cell, flags=re.M).split("\n")]
        )
        for cell in cells
    ]


def test_there_are_five_copies():
    assert [path.name[:3] for path in COPIES] == ["000", "001", "002", "003", "004"]


@pytest.mark.parametrize("path", COPIES, ids=lambda path: path.name[:3])
def test_every_copy_is_the_same_program_after_the_three_changes(path):
    assert normal(seeds.program(path, "folder")) == normal(seeds.program(COPIES[0], "folder"))


@pytest.mark.parametrize("path", COPIES, ids=lambda path: path.name[:3])
def test_only_install_line_imports_and_model_are_changed(path):
    before = "\n".join(seeds.cells(path)).splitlines()
    after = "\n".join(seeds.program(path, '"m"')).splitlines()
    kept = [line for line in before if line in set(after)]
    gone = [line for line in before if line not in set(after) and line]
    assert all(
        re.match(r"[!%]?pip install|<!--IMPORTS|from langchain|    \"text-generation\", model=", line) for line in gone
    )
    assert len(kept) > 35


def code(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def printed(notebook):
    return ["".join(o.get("text", "") for o in cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]


def test_the_notebook_has_the_code_of_the_seeds():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert code(notebook) == [made.MODEL_CELL, *seeds.program(COPIES[4], "folder")]
    nbformat.validate(notebook)


def assert_shows_both_answers(outputs):
    assert outputs[2].startswith("generations=[[")
    answer = json.loads(outputs[4])
    assert answer["action"] == "Final Answer"
    assert answer["action_input"]


def test_the_notebook_is_kept_with_its_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert_shows_both_answers(printed(notebook))
    assert "/" not in "".join(printed(notebook)).replace("\\", ""), "a path of some machine"


def test_the_notebook_runs():
    assert_shows_both_answers(printed(made.execute(made.build())))


def assert_shows_a_call_and_an_answer(outputs):
    assert re.fullmatch(r"(calls population\(.*\)\ngets \d+\n)+City\(name='.*', people=\d+\)\n", outputs[-1], re.S)


def test_the_agents_notebook_is_the_example_and_is_kept_with_its_outputs():
    pytest.importorskip("langchain")
    notebook = nbformat.read(made.AGENT, as_version=4)
    assert code(notebook) == [made.MODEL_CELL, *made.agent_cells()]
    nbformat.validate(notebook)
    assert_shows_a_call_and_an_answer(printed(notebook))
    example = (ROOT / "examples" / "agent.py").read_text(encoding="utf-8")
    lines = {line.replace("sys.argv[1]", "folder") for line in example.split('"""', 2)[2].splitlines() if line}
    assert lines - set("\n".join(made.agent_cells()).splitlines()) == {"import sys"}


@pytest.mark.slow
def test_the_agents_notebook_runs():
    pytest.importorskip("langchain")
    assert_shows_a_call_and_an_answer(printed(made.execute(made.build_agent())))


TOUR = ROOT / "docs" / "structured-output.ipynb"


def test_the_tour_is_kept_with_its_outputs():
    notebook = nbformat.read(TOUR, as_version=4)
    nbformat.validate(notebook)
    assert [cell.source for cell in notebook.cells] == tour.TOUR
    outputs = printed(notebook)
    assert not any(output.output_type == "error" for cell in notebook.cells for output in cell.get("outputs", ()))
    assert "City(name='Paris'" in outputs[2]
    assert "did you mean 'maximum'" in outputs[5]
    assert all(outputs[1:])


def test_the_tour_runs(capsys):
    import real_model

    assert real_model.folder()
    namespace = {}
    for cell in tour.TOUR[1::2]:
        exec(compile(cell, "structured-output.ipynb", "exec"), namespace)
    assert "is_capital" in capsys.readouterr().out


def test_the_example_is_the_same_program():
    def statements(text):
        return {line.strip() for line in text.splitlines() if line.strip()}

    example = (ROOT / "examples" / "seeds.py").read_text(encoding="utf-8")
    missing = statements("\n".join(seeds.program(COPIES[4], "sys.argv[1]"))) - statements(example)
    # What a formatter has joined: two calls that stood on three lines.
    assert missing <= {
        "hf_model = pipeline(", '"text-generation", model=sys.argv[1], max_new_tokens=200', ")",
        "pattern = regex.compile(",
        r"""r'\{\s*"action":\s*"Final Answer",\s*"action_input":\s*(\{.*\}|"[^"]*")\s*\}\nHuman:'""",
    }  # fmt: skip
