"""The README is true: its snippets and commands run, its links and pictures are there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.S)
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.S)
    for line in block.splitlines()
]

# What a test cannot run inside itself, or runs elsewhere, and where.
ELSEWHERE = {
    "make test": "Makefile: this very run",
    "pip install '.[transformers]'": "Makefile: dev/set_up.py installs the wheel with its extras",
    '.venv/bin/python examples/stream_to_terminal.py "$(.venv/bin/rellm demo --folder)"': "test_examples.py",
}


@pytest.fixture(scope="module")
def one_model():
    """Each snippet loads the demonstration's model by its name: here they share one."""
    pytest.importorskip("transformers")
    from rellm._generate import generator, open_model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator, "open_model", cache(open_model.open_model))
        yield


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_every_snippet_runs_when_it_is_pasted_alone(number, one_model, capsys):
    if "langchain" in SNIPPETS[number]:
        pytest.importorskip("langchain_core")
    exec(compile(SNIPPETS[number], f"README.md, snippet {number + 1}", "exec", dont_inherit=True), {})
    assert capsys.readouterr().out.strip(), "a snippet shows something"


def test_the_first_snippet_prints_a_date(one_model, capsys):
    exec(compile(SNIPPETS[0], "README.md, snippet 1", "exec"), {})
    date, month = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d{1,2} [A-Z][a-z]+ \d{4}", date)
    assert month == date.split()[1]
    assert f"# {date}, as" in SNIPPETS[0], "it prints what the comment beside it says"
    assert f"# {month};" in SNIPPETS[0]


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in ELSEWHERE])
def test_every_command_runs(command, tmp_path):
    if command.startswith("make "):
        target = command.split()[1]
        recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
        assert recipe, f"the Makefile has no target {target}"
        assert target == "demo", "say in ELSEWHERE who runs this one"
        command = "rellm demo"
    arguments = shlex.split(command)
    assert Path(arguments[0]).name == "rellm"
    done = subprocess.run(
        [sys.executable, "-m", "rellm", *arguments[1:]], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    expected = 1 if arguments[1] == "check" else 0  # its text is one that does not match
    assert done.returncode == expected, done.stderr
    assert done.stdout.strip()
    if "--html" in arguments:
        assert (tmp_path / arguments[arguments.index("--html") + 1]).read_text().startswith("<!doctype html>")


def test_the_demonstration_ends_in_json():
    assert "make demo" in COMMANDS
    assert "@$(BIN)/rellm demo $(ARGS)" in (ROOT / "Makefile").read_text()


def test_what_is_not_run_here_is_in_the_readme_still():
    assert set(ELSEWHERE) <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    # A pattern in code can look like a link.
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_tells_people_to_install_the_ancestor(page):
    assert not re.search(
        r"(pip|uv|poetry|pdm)[a-z ]* (install|add)\b[^\n`]*(?<![./\w])rellm(-masks)?\b(?!_)",
        page.read_text(encoding="utf-8"),
    )


def test_the_first_snippet_is_as_short_as_it_can_be():
    assert len([line for line in SNIPPETS[0].splitlines() if line.strip()]) <= 12
