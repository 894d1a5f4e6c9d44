"""The command line: what it prints, where, and with which exit status."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys

import pytest
from rellm._cli import main
from rellm._cli.arguments import parser
from rellm._cli.explain import percent
from rellm._cli.model import prompt_of


def run(*arguments, capsys):
    """Exit status, stdout, stderr of `rellm ARGUMENTS`."""
    try:
        status = main(list(arguments))
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    return status, out, err


# check


def test_check_of_a_pattern_names_its_library_and_its_engine(capsys):
    status, out, err = run("check", r"\d+(\.\d{1,2})?", capsys=capsys)
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        r"pattern  \d+(\.\d{1,2})?",
        f"read as  re of Python {'.'.join(map(str, sys.version_info[:3]))}",
        "engine   automaton",
    ]


def text_line(out):
    return next(line.removeprefix("text     ") for line in out.splitlines() if line.startswith("text "))


@pytest.mark.parametrize(
    ("pattern", "text", "status", "words"),
    [
        ("a+", "aa", 0, "'aa' matches in full, and may go on"),
        ("ab", "ab", 0, "'ab' matches in full"),
        ("a*", "", 0, "the empty text matches in full, and may go on"),
        ("(?a)\\d+(\\.\\d+)?", "13.5x", 1,
         "stops matching at position 4, 'x' (U+0078), after '13.5': expected a digit, or the end of the text"),
        ("(?a)\\d+(\\.\\d+)?", "13.", 1, "is only the beginning of a match: after '13.', expected a digit"),
        ("yes|no", "", 1, "is only the beginning of a match: after nothing, expected \"n\", or \"y\""),
        ("[é-ü]x", "è", 1, "stops matching at position 0, 'è' (U+00E8), after nothing: expected \"é\" to \"ü\""),
        ("日本?", "日木", 1,
         "stops matching at position 1, '木' (U+6728), after '日': expected \"本\", or the end of the text"),
        ("x{40}", "x" * 30 + "y", 1,
         f"stops matching at position 30, 'y' (U+0079), after …'{'x' * 24}': expected \"x\""),
    ],
)  # fmt: skip
def test_check_says_whether_a_text_matches_and_where_not_and_what_was_expected(capsys, pattern, text, status, words):
    got, out, err = run("check", pattern, text, capsys=capsys)
    assert (got, text_line(out), err) == (status, words, "")


@pytest.mark.parametrize("text", ["", "1", "12", "1.5", "x", "1.55", "1.555", "٣", "1\n", "1٣.٣"])
@pytest.mark.parametrize("pattern", [r"\d+(\.\d{1,2})?", r"(?a)\d*\n?", r"(?=1)..", r".*?"])
def test_check_agrees_with_fullmatch(capsys, pattern, text):
    status, out, _ = run("check", pattern, text, capsys=capsys)
    assert (status == 0) == (re.fullmatch(pattern, text) is not None), out


@pytest.mark.parametrize(("given", "text"), [("ab\n", "ab"), ("ab", "ab"), ("ab\n\n", "ab\n"), ("\n", ""), ("", "")])
def test_the_line_break_at_the_end_of_stdin_is_no_part_of_a_text_or_prompt(capsys, monkeypatch, given, text):
    monkeypatch.setattr(sys, "stdin", io.StringIO(given))
    assert run("check", re.escape(text), "-", capsys=capsys)[0] == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO(given))
    arguments = parser().parse_args(["complete", "--model", "m", "--regex", "a", "-"])
    assert prompt_of(arguments) == text


def test_what_is_not_utf8_is_told(capsys, monkeypatch):
    status, out, _ = run("check", "[a\udcff]", "\udcff", capsys=capsys)
    assert (status, out.splitlines()[0]) == (1, r"pattern  [a\udcff]")
    assert text_line(out) == "has the lone surrogate U+DCFF at position 0: no text holds one"
    assert run("complete", "--model", "/no/such", "--regex", "a", "x\udcff", capsys=capsys) == (
        2, "", "rellm: the prompt is not UTF-8 text: it holds the lone surrogate U+DCFF at position 1\n",
    )  # fmt: skip
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ab\xff"), encoding="utf-8"))
    assert run("check", "a", "-", capsys=capsys) == (2, "", "rellm: stdin is not utf-8 text: byte 2 is 0xff\n")


def test_check_says_why_the_search_engine_serves_a_pattern(capsys):
    status, out, _ = run("check", "--dialect", "regex", r"a{1,2}\((?>b|(?R))*\)", "a()", capsys=capsys)
    assert status == 0
    assert "engine   search, because of a call of a group inside an atomic group" in out


def test_flags_and_dialect_say_how_the_pattern_is_read(capsys):
    assert run("check", "ab", "AB", capsys=capsys)[0] == 1
    assert run("check", "ab", "AB", "--flags", "i", capsys=capsys)[0] == 0
    assert run("check", "a b", "ab", "--flags", "ix", capsys=capsys)[0] == 0
    assert run("check", r"\w", "é", "--flags", "a", capsys=capsys)[0] == 1
    assert run("check", r"\p{Lu}", "É", "--dialect", "regex", capsys=capsys)[0] == 0
    assert run("check", "[[a-z]--[aeiou]]", "e", "--dialect", "regex", "--flags", "1", capsys=capsys)[0] == 1


# grammars and templates


CALCULATOR = 'start: NUMBER ("+" NUMBER)*\nNUMBER: /[0-9]+/\n%ignore " "\n'


def test_a_grammar_takes_the_place_of_the_pattern(capsys, tmp_path):
    file = tmp_path / "calculator.lark"
    file.write_text(CALCULATOR)
    status, out, _ = run("check", "--grammar", str(file), "1 + 22", capsys=capsys)
    assert (status, text_line(out)) == (0, "'1 + 22' matches in full, and may go on")
    status, out, _ = run("check", "--grammar", str(file), "1 +", capsys=capsys)
    assert status == 1
    assert text_line(out).startswith("is only the beginning of a match")
    status, out, _ = run("sample", "--grammar", str(file), "-n", "5", "--seed", "1", capsys=capsys)
    assert status == 0
    assert all(re.fullmatch(r" *\d+( *\+ *\d+)* *", line) for line in out.splitlines())
    gbnf = tmp_path / "root.gbnf"
    gbnf.write_text('root ::= other\nother ::= "a"\n')
    assert run("check", "--grammar", str(gbnf), "a", capsys=capsys)[0] == 0
    assert run("check", "--grammar", str(gbnf), "--start", "other", "a", capsys=capsys)[0] == 0


def test_a_template_takes_the_place_of_the_pattern(capsys):
    template = ["--template", "Name: {name}, age {age}.", "--hole", r"age=\d+"]
    assert run("check", *template, "Name: Ann, age 7.", capsys=capsys)[0] == 0
    assert run("check", *template, "Name: Ann, age x.", capsys=capsys)[0] == 1
    status, out, _ = run("sample", *template, "-n", "2", "--seed", "3", capsys=capsys)
    assert status == 0
    assert out.startswith("Name: ")


# errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "(a"],
         "rellm: PatternError: unbalanced parenthesis at position 2 of '(a': add \")\" or escape \"(\" as \"\\(\"\n"),
        (["check", "a", "--flags", "q"],
         "rellm: --flags q: re has no flag 'q' here; there are i (IGNORECASE), m (MULTILINE), s (DOTALL), "
         "x (VERBOSE), a (ASCII)\n"),
        (["check"],
         "rellm: RellmError: give one of PATTERN, --grammar FILE, --template TEXT, --schema FILE and --type "
         "MODULE:CLASS, not none\n"),
        (["complete", "--model", "m", "--regex", "a", "--template", "b", "p"],
         "rellm: RellmError: give one of --regex, --grammar FILE, --template TEXT, --schema FILE and --type "
         "MODULE:CLASS, not --regex and --template\n"),
        (["check", "--template", "{a}", "--hole", "b", "x"], "rellm: RellmError: --hole b: write it as NAME=PATTERN\n"),
        (["check", "--template", "{a", "x"],
         "rellm: TemplateError: single '{' at position 0: write '{{' for the character itself, or close the hole: "
         "{name}\n"),
        (["complete", "--model", "/no/such", "--regex", "a", "p"],
         "rellm: RellmError: there is no folder /no/such: a model is a folder with config.json and weights, a .gguf "
         "file, a name on the hub, or the word smollm2\n"),
        (["explain", "--model", "/no/such", "--regex", "a", "--html", "/no/such/page.html", "p"],
         "rellm: --html /no/such/page.html: there is no folder /no/such\n"),
    ],
)  # fmt: skip
def test_errors_are_a_line_on_stderr_with_status_2(capsys, arguments, message):
    assert run(*arguments, capsys=capsys) == (2, "", message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["sample", "a", "-n", "0"], "argument -n: 0 is less than 1"),
        (["sample", "a", "-n", "x"], "argument -n: 'x' is not a whole number"),
        (["check", "a", "--dialect", "perl"], "invalid choice: 'perl'"),
    ],
)
def test_wrong_usage_has_status_2_and_says_what_is_wrong(capsys, arguments, message):
    status, out, err = run(*arguments, capsys=capsys)
    assert (status, out) == (2, "")
    assert message in err


def test_a_bad_pattern_is_told_before_the_model_is_loaded(capsys):
    status, _, err = run("complete", "--model", "/no/such", "--regex", "(", "p", capsys=capsys)
    assert status == 2
    assert "PatternError" in err


def test_debug_shows_where_an_error_came_from():
    with pytest.raises(ValueError, match="has no flag"):
        main(["check", "a", "--flags", "q", "--debug"])


@pytest.mark.parametrize("command", ["demo", "complete", "check", "sample", "explain", "batch", "completion"])
def test_every_command_has_help_with_examples_that_parse(capsys, command):
    status, out, err = run(command, "--help", capsys=capsys)
    assert (status, err) == (0, "")
    assert "examples:" in out
    assert "exit status:" in out


@pytest.mark.parametrize(
    ("share", "shown"), [(0.0, "0.0%"), (1e-9, "<0.1%"), (0.5, "50.0%"), (0.99999, ">99.9%"), (1.0, "100.0%")]
)
def test_a_share_is_all_or_nothing_only_where_it_is(share, shown):
    assert percent(share) == shown


def test_check_and_sample_do_not_import_torch():
    code = (
        "import sys; from rellm._cli import main; main(['check', 'a', 'a']); main(['sample', 'ab?']); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m rellm sample '[a-z]{{200}}' -n 3000 | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert (done.stderr, len(done.stdout.splitlines())) == ("", 1)


# sample


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d+(\.\d{1,2})?", r"[A-Z]{2}-\d{4}", r'"[^"]*"', r"(?s).*", r"日本(語|人)+", r"(?i)straße",
        r"(?=.*\d)\w{4,8}",        r"(['\"])\w+\1", r"\w+@\w+\.(com|org)", r"a?", r"(?!0)\d{3}", r"\bword\b( \w+)*",
    ],
)  # fmt: skip
def test_samples_match_and_differ(capsys, pattern):
    status, out, err = run("sample", pattern, "-n", "5", "--seed", "1", "--json", capsys=capsys)
    texts = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert all(re.fullmatch(pattern, text) for text in texts), texts
    assert len(set(texts)) == len(texts) == (2 if pattern == "a?" else 5)
    assert err == ("2 of 5: no other texts were found\n" if pattern == "a?" else "")


def test_the_same_seed_gives_the_same_samples(capsys):
    first, again, other = (run("sample", r"\w{8}", "--seed", seed, capsys=capsys)[1] for seed in "112")
    assert first == again != other


def test_samples_end_soon_after_the_length_that_was_asked_for(capsys):
    _, out, _ = run("sample", r"[a-z]{0,400}\.", "--length", "10", "-n", "50", "--seed", "5", capsys=capsys)
    assert max(map(len, out.splitlines())) <= 11


def test_samples_of_the_search_engine_match_too(capsys):
    import regex

    pattern = r"\((?:[a-c]|(?R))*+\)"
    status, out, _ = run("sample", pattern, "--dialect", "regex", "-n", "4", "--seed", "1", capsys=capsys)
    assert status == 0
    assert len(out.splitlines()) == 4
    assert all(regex.fullmatch(pattern, line) for line in out.splitlines())


def test_a_pattern_that_nothing_matches_is_an_error(capsys):
    status, out, err = run("sample", "a(?!b)b", capsys=capsys)
    assert (status, out) == (2, "")
    assert "UnsatisfiableError" in err


# schemas and types


def test_check_prints_the_report_of_a_schema(capsys, tmp_path):
    file = tmp_path / "schema.json"
    file.write_text('{"type": "integer", "minimum": 3, "maximun": 9}')
    status, out, _ = run("check", "--schema", str(file), "4", capsys=capsys)
    assert (status, text_line(out)) == (0, "'4' matches in full, and may go on")
    assert "keywords 3, 2 of them exact" in out
    assert "did you mean 'maximum'?" in out
    assert run("check", "--schema", str(file), "2", capsys=capsys)[0] == 1
    file.write_text('{"pattern": "("}')
    status, out, _ = run("check", "--schema", str(file), capsys=capsys)
    assert "look at  /pattern: pattern: not enforced (wider)" in out


def test_a_type_takes_the_place_of_the_pattern(capsys, tmp_path, monkeypatch):
    (tmp_path / "forms_of_cli.py").write_text("import datetime\nclass Day(datetime.date): pass\nages = list[int]\n")
    monkeypatch.chdir(tmp_path)
    assert run("check", "--type", "datetime:date", "2024-02-30", capsys=capsys)[0] == 1
    status, out, _ = run("sample", "--type", "datetime:date", "-n", "3", "--seed", "1", capsys=capsys)
    assert status == 0
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", line) for line in out.splitlines())
    assert "No module named" in run("check", "--type", "no_such_module:X", capsys=capsys)[2]
    assert "MODULE:CLASS" in run("check", "--type", "date", capsys=capsys)[2]
