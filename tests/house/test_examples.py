"""Every example runs on the real model, and prints what it says it does."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("transformers")

import real_model

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = {path.name for path in (ROOT / "examples").glob("*.py")}


def output(name, *arguments):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *(arguments or (real_model.folder(),))],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_seeds_program_prints_an_unconstrained_and_a_constrained_answer():
    out = output("seeds.py")
    before, brace, answer = out.partition("\n{")
    assert before.startswith("generations=")
    answer = json.loads(brace + answer)
    assert answer["action"] == "Final Answer"


def test_a_chain_with_a_parser_prints_facts():
    lines = output("chain_with_parser.py").splitlines()
    assert [line.split(":")[0] for line in lines] == ["Paris", "Cairo"]
    assert all(re.fullmatch(r"\w+: [A-Z][A-Za-z ]+, [\d,]+ people", line) for line in lines)


def test_a_stream_prints_what_the_pattern_says():
    out = output("stream_to_terminal.py")
    assert re.fullmatch(r"(- [A-Z][a-z ,]+\.\n){3}\[\d+ tokens, \d+ forward passes, complete\]\n", out), out


def test_a_form_is_filled_from_ten_texts():
    lines = output("fill_forms.py").splitlines()
    assert len(lines) == 10
    assert all(re.fullmatch(r"\d{4}  [A-Z][a-z]+ +(complaint|question|praise)", line) for line in lines)
    assert lines[0].startswith("4471  Anna")


def test_the_educational_version_writes_what_matches():
    out = output("how_it_works.py", "(ab|c)+!")
    assert re.fullmatch("(ab|c)+!\n", out), out


def test_a_model_is_driven_by_hand_without_any_library():
    lines = output("drive_by_hand.py").splitlines()
    assert all(re.search(r"(19|20)\d\d-\d\d-\d\d$", line) for line in lines[:3])


def test_an_agent_calls_its_tool_and_answers():
    pytest.importorskip("langchain")
    lines = output("agent.py").splitlines()
    assert len(lines) >= 3
    assert re.fullmatch(r"City\(name='.{0,30}', people=\d+\)", lines[-1])
    assert all(re.fullmatch(r"calls population\(\{'city': .*\}\)|gets \d+", line) for line in lines[:-1])


def test_every_example_is_run_by_a_test():
    run = {
        node.args[0].value
        for node in ast.walk(ast.parse(Path(__file__).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "output"
    }
    assert run == EXAMPLES
