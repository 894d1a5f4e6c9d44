"""The command line as people use it: prompts from files and pipes, JSON, narrow and old terminals, ctrl-C, shells."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from rellm import testing
from rellm._cli import explain, main
from rellm._cli.arguments import parser

pytest.importorskip("transformers")


def run(*arguments, capsys):
    try:
        status = main(list(arguments))
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def says(monkeypatch):
    """`rellm complete` and `explain` with a model that wants to write a text; the prompts that it was given."""

    def prepare(text):
        prompts = []

        def script(prompt):
            prompts.append(prompt)
            return text

        for command in ("complete", "explain"):
            monkeypatch.setattr(
                f"rellm._cli.{command}.load_generator", lambda name, terminal: testing.scripted_generator(script)
            )
        return prompts

    return prepare


COMPLETE = ("complete", "--model", "m")


# prompts


def test_a_prompt_is_read_from_stdin_where_none_is_given(capsys, monkeypatch, says):
    prompts = says("yes")
    for arguments in ([], ["-"]):
        monkeypatch.setattr(sys, "stdin", io.StringIO("Is water wet? \n"))
        assert run(*COMPLETE, "--regex", "yes|no", *arguments, capsys=capsys) == (0, "yes\n", "")
    assert set(prompts) == {"Is water wet? "}


def test_a_prompt_is_read_from_a_file(capsys, says, tmp_path):
    prompts = says("no")
    file = tmp_path / "prompt.txt"
    file.write_text("Ist Öl naß?\nJa oder nein: \n", encoding="utf-8")
    assert run(*COMPLETE, "--regex", "yes|no", "--prompt-file", str(file), capsys=capsys) == (0, "no\n", "")
    assert set(prompts) == {"Ist Öl naß?\nJa oder nein: "}
    file.write_bytes(b"ab\xff")
    status, _, err = run(*COMPLETE, "--regex", "yes", "--prompt-file", str(file), capsys=capsys)
    assert (status, err) == (2, f"rellm: RellmError: {file} is not UTF-8 text: byte 2 is 0xff\n")


def test_a_prompt_that_is_missing_or_given_twice_is_told(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    status, _, err = run(*COMPLETE, "--regex", "a", capsys=capsys)
    assert (status, "give PROMPT, --prompt-file FILE, or the prompt on stdin" in err) == (2, True)
    status, _, err = run(*COMPLETE, "--regex", "a", "p", "--prompt-file", "f", capsys=capsys)
    assert (status, "not both" in err) == (2, True)


def test_a_chat_is_written_in_the_models_template(capsys, says):
    prompts = says("yes")
    assert run(*COMPLETE, "--chat", "--regex", "yes|no", "Wet?", capsys=capsys)[0] == 0
    assert set(prompts) == {"user: Wet?\nassistant: "}


# sampling


def test_temperature_0_takes_the_likeliest_token(capsys, says):
    says("yes")
    for more in ([], ["--top-p", "0.5", "--seed", "3"]):
        assert run(*COMPLETE, "--regex", "yes|no", "--temperature", "0", *more, "p", capsys=capsys)[1] == "yes\n"
    status, _, err = run(*COMPLETE, "--regex", "a", "--temperature", "-1", "p", capsys=capsys)
    assert (status, "-1 is not a temperature" in err) == (2, True)


# JSON


def test_json_of_complete_has_the_text_its_value_and_how_it_ended(capsys, says, tmp_path):
    schema = tmp_path / "ages.json"
    schema.write_text('{"type": "array", "items": {"type": "integer"}}')
    says("[3, 4]")
    status, out, err = run(*COMPLETE, "--json", "--schema", str(schema), "p", capsys=capsys)
    assert (status, err) == (0, "")
    assert json.loads(out) == {
        "text": "[3, 4]", "value": [3, 4], "is_complete": True, "finish_reason": "complete", "tokens": 6,
    }  # fmt: skip
    says("ab, cd")
    status, out, err = run(*COMPLETE, "--json", "--regex", "[a-z, ]{6,}", "--stop", ", ", "p", capsys=capsys)
    answer = json.loads(out)
    assert (status, answer["is_complete"], answer["finish_reason"]) == (1, False, "stop")
    assert answer["error"] in err


def test_json_of_complete_has_values_of_types(capsys, says):
    says("2024-02-29")
    out = run(*COMPLETE, "--json", "--type", "datetime:date", "p", capsys=capsys)[1]
    assert json.loads(out)["value"] == "2024-02-29"


def test_json_of_check_has_engine_report_and_verdict(capsys):
    status, out, _ = run("check", "--json", '[ "-_]', "x", capsys=capsys)
    found = json.loads(out)
    assert (status, found["engine"], found["matches"]) == (1, "automaton", False)
    assert found["report"]["entries"][0]["keyword"] == "range"
    assert found["verdict"].startswith("stops matching at position 0")


def test_json_of_explain_has_each_token(capsys, says):
    says("yes")
    status, out, _ = run("explain", "--model", "m", "--json", "--regex", "yes|no", "p", capsys=capsys)
    answer = json.loads(out)
    assert (status, answer["text"], [token["text"] for token in answer["tokens"]]) == (0, "yes", ["y", "e", "s"])


# terminals


@pytest.fixture
def terminal(monkeypatch):
    """stdout as a terminal of some width and encoding; returns what was written."""

    def prepare(columns, encoding):
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
        monkeypatch.setenv("COLUMNS", str(columns))
        return lambda: written.getvalue().decode(encoding)

    return prepare


def test_a_latin_1_terminal_shows_what_it_can_and_escapes_the_rest(terminal, says):
    says("Größe 日")
    shown = terminal(80, "latin-1")
    assert main([*COMPLETE, "--regex", "Größe .", "p"]) == 0
    assert shown() == "Größe \\u65e5\n"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_narrow_terminal_loses_no_figure(terminal, says, encoding):
    says("yes")
    shown = terminal(30, encoding)
    assert main(["explain", "--model", "m", "--regex", "yes|no", "p"]) == 0
    assert shown().count("token: ") == 3
    assert shown().count("alone: ") == shown().count("constrained: ") == 3
    assert "\\u" not in shown()
    assert "…" not in shown()


def test_help_fits_a_narrow_terminal(terminal):
    shown = terminal(30, "utf-8")
    with pytest.raises(SystemExit):
        main(["complete", "--help"])
    sys.stdout.flush()
    options = shown().split("positional arguments:")[1].split("examples:")[0]
    assert max(len(line) for line in options.splitlines() if line.startswith("        ")) <= 30


def test_bars_are_of_signs_that_the_terminal_has(monkeypatch):
    assert explain.bar(0.5).rstrip() in ("█" * 5, "#" * 5)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert explain.bar(0.5).rstrip() == "#####"


def test_a_reader_that_goes_away_while_a_text_is_written_is_no_error():
    code = (
        "import sys; from rellm import testing; import rellm._cli.complete as c; "
        "c.load_generator = lambda *_: testing.scripted_generator('a' * 4000); "
        "from rellm._cli import main; sys.exit(main())"
    )
    arguments = "complete --model m --regex a+ --max-new-tokens 600 p"
    command = f'{sys.executable} -c "{code}" {arguments} | head -c 3'
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("aaa", "")


def test_a_library_that_is_missing_is_told_in_a_line(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydantic", None)
    status, out, err = run("check", "--type", "uuid:UUID", "x", capsys=capsys)
    assert (status, out) == (2, "")
    assert err.startswith("rellm: Python types need pydantic: install this package with its extra [types]")


# ctrl-C


class Interrupted:
    """A generator whose user presses ctrl-C after two pieces."""

    def stream(self, *_, **__):
        yield "ab"
        yield "c"
        raise KeyboardInterrupt


def test_ctrl_c_ends_with_130_and_marks_the_text_so_far(capsys, monkeypatch):
    monkeypatch.setattr("rellm._cli.complete.load_generator", lambda *_: Interrupted())
    told = "rellm: interrupted: what was written so far is incomplete\n"
    assert run(*COMPLETE, "--regex", "a.*", "p", capsys=capsys) == (130, "abc\n", told)
    status, out, err = run(*COMPLETE, "--json", "--regex", "a.*", "p", capsys=capsys)
    assert (status, err) == (130, told)
    assert json.loads(out) == {
        "text": "abc", "value": None, "is_complete": False, "finish_reason": "interrupted", "error": told[7:-1],
    }  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_reaches_a_command_at_work():
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)  # a job may ignore it\n"
        "from rellm._cli import main; sys.exit(main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "sample", "[a-z]{60}", "-n", "100000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "rellm: interrupted\n")


# shells


COMMANDS = ["demo", "complete", "check", "sample", "explain", "batch", "completion"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_every_command_and_option(capsys, shell):
    status, out, err = run("completion", shell, capsys=capsys)
    assert (status, err) == (0, "")
    assert all(command in out for command in COMMANDS)
    batch = parser()._subparsers._group_actions[0].choices["batch"]
    for flag in (action.option_strings[-1] for action in batch._actions if action.option_strings):
        assert (flag if shell != "fish" else f"-l {flag.removeprefix('--')}") in out, flag
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=out, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("rellm ba", ["batch"]),
        ("rellm check --di", ["--dialect"]),
        ("rellm check --dialect re", ["re", "regex"]),
        ("rellm sample --le", ["--length", "--lexer"]),
        ("rellm nothing --x", []),
    ],
)
def test_bash_completes(capsys, line, offered):
    script = run("completion", "bash", capsys=capsys)[1]
    words = line.split()
    ask = f'{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _rellm; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.split() == offered
