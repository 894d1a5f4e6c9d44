"""Patterns that have brought down others: each ends as an answer or as the fitting error, in a second and 256 MB."""

from __future__ import annotations

import contextlib
import re
import resource
import subprocess
import sys
import textwrap
import time

import pytest
import rellm

SECONDS = 1.0
MEGABYTES = 256

# By name: an expression that makes the constraint, the text that is written, and the errors that fit (none: an answer).
CASES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "exponential states": ("'(a|b)*a(a|b){20}'", "'ab' * 40", ()),
    "exponential states of classes": ("'[ab]*a[ab]{18}'", "'ab' * 40", ()),
    "nested counters": ("'((a{1,100}){1,100}){1,100}'", "'a' * 200", ()),
    "a counter of two thousand million": ("'a{1,2147483647}'", "'a' * 200", ()),
    "a counter that does not fit": ("'a{1,99999999999999999999}'", "'a'", ("PatternError", "LimitExceededError")),
    "a hundred thousand of anything": ("'.{0,100000}'", "'né🙂' * 50", ()),
    "30,000 open parentheses": ("'(' * 30000", "''", ("PatternError", "LimitExceededError")),
    "5,000 nested groups": ("'(' * 5000 + 'a' + ')' * 5000", "'a'", ("LimitExceededError",)),
    "5,000 nested sets": (
        "rellm.Regex('(?V1)' + '[' * 5000 + 'a' + ']' * 5000, dialect='regex')", "'a'", ("LimitExceededError",),
    ),
    "500 word characters": (r"r'\w{1,500}'", "'naïve日本' * 20", ()),
    "5,000 alternatives": ("'|'.join(f'word{n * 7919}' for n in range(5000))", "'word791'", ()),
    "50,000 alternatives": ("'|'.join(f'word{n * 7919}' for n in range(50000))", "'word791'", ()),
    "50,000 ways of an atomic group": (
        "'(?>' + '|'.join(f'{n * 7919}[ab]c' for n in range(50000)) + ')x'", "'7919ac'", (),
    ),
    "60,000 choices": ("rellm.Choice([f'item number {n}' for n in range(60000)])", "'item number 5'", ()),
    "an empty class": (r"r'[^\s\S]'", "''", ("UnsatisfiableError",)),
    "an empty lookahead": ("'(?!)'", "''", ("UnsatisfiableError",)),
    "an empty lookahead between": ("'a(?!)b'", "''", ("UnsatisfiableError",)),
    "an end before the end": ("'$a'", "''", ("UnsatisfiableError",)),
    "optional, then required": ("'(a?){200}a{200}'", "'a' * 300", ()),
    "nested repetition": ("'((a+)+)+b'", "'a' * 300", ()),
    "nested repetition of overlapping ways": ("'(a|aa|a*)*(a|b)*c'", "'a' * 300", ()),
    "nested counts of overlapping classes": (
        r"""r'(?:\}{0,40}|[a-z]é)(?:.?(?:\d{2,20} {18,}\S{0,40}|\w{0,40}[^"]{1,64}|.\n*.){1,64}(é?)+){2,20}\S{17}'""",
        "'угао какRN, land is Annapolis.'", ("LimitExceededError",),
    ),
    "unions of thousands of counts": (
        r"""r'(?:(?:\W+|é{0,40}){1,64}(?:\W*\}[^\s;]\b|[^\s;]|;*){2,20}[ab]*(?:(?!e|--)\n\s{17}|[^"\n]{17}|.*){0,40}){0,40}'""",
        "'.1 (grö'", ("LimitExceededError",),
    ),
    "twelve lookaheads": ("''.join(f'(?=.*{c})' for c in 'abcdefghijkl') + '.*'", "'abcdefghijkl' * 3", ()),
    "twelve lookaheads of repetitions": (
        "''.join(f'(?=(.{{{n}}})*$)' for n in (2, 3, 5, 7, 11, 13)) + 'a*'", "'a' * 40", ("LimitExceededError",),
    ),
    "a backreference to a long word": (r"r'(\w+) \1'", "'abcdefghij' * 20 + ' abc'", ()),
    "two backreferences": (r"r'(\w*)(\w*) \1\2'", "'abab abab'", ()),
    "four backreferences": (r"r'(\w*)(\w*)(\w*)(\w*) \1\2\3\4'", "'abababab abab'", ()),
    "four backreferences after a long word": (r"r'(\w*)(\w*)(\w*)(\w*) \1\2\3\4'", "'ab' * 6", ()),
    "200 words ignoring case": (
        "'(?i)' + '|'.join('straßeİıſK' + chr(0x3b1 + n % 20) * (n % 7 + 1) + str(n) for n in range(200))",
        "'STRASSE'[:4]", (),
    ),
    "300 letters": (r"rellm.Regex(r'\p{L}{1,300}', dialect='regex')", "'aé日' * 40", ()),
    "a pattern of 1 MB": ("'abc def ' * 131072", "'abc def abc'", ()),
    "classes of 1 MB": (r"r'[a-z]\d' * 150000", "'a1b2'", ()),
    "a pattern of 3 MB": ("'a' * 3000000", "''", ("LimitExceededError",)),
    "100,000 empty alternatives": ("'|' * 100000", "''", ()),
    "20 million characters": ("rellm.Literal('x' * 20_000_000)", "''", ("LimitExceededError",)),
    "200 million characters": ("rellm.Literal('x' * 200_000_000)", "''", ("LimitExceededError",)),
    "a million choices": ("rellm.Choice([str(n) for n in range(10**6, 2 * 10**6)])", "''", ("LimitExceededError",)),
    "600,000 groups": ("'(a)' * 600_000", "''", ("LimitExceededError",)),
    "NUL": (r"'a\0b'", r"'a\0b'", ()),
    "a lone surrogate": (r"'\ud800'", "''", ("UnsatisfiableError",)),
    "a lone surrogate beside": (r"'\ud800|a'", "'a'", ()),
    "nested sets and differences": (
        r"rellm.Regex(r'(?V1)[[a-z]--[aeiou]&&[^xyz]||\d]+', dialect='regex')", "'bcd12'", (),
    ),
    "graphemes": (r"rellm.Regex(r'\X{1,5}', dialect='regex')", "'e\u0301🙂'", ()),
    "line breaks": (r"rellm.Regex(r'(\R|a)+', dialect='regex')", r"'a\r\n\na'", ()),
    "recursion": (r"rellm.Regex(r'\((?:[^()]|(?R))*\)', dialect='regex')", "'(a(b'", ()),
    "recursion, 5,000 deep": (r"rellm.Regex(r'\((?:[^()]|(?R))*\)', dialect='regex')", "'(' * 5000", ()),
    "ambiguous recursion": (
        r"rellm.Regex(r'a(?R)?(?R)?(?R)?b?', dialect='regex')", "'a' * 300", ("LimitExceededError",),
    ),
    "500 groups that call each other": (
        r"rellm.Regex('|'.join(f'(?P<g{n}>a(?&g{n * 7 % 500})?b)' for n in range(500)), dialect='regex')", "'aaa'", (),
    ),
    "recursion before an end": (r"rellm.Regex(r'(?:\((?R)*\)|x)$', dialect='regex')", "'('", ()),
    "recursion under a lookahead": (
        r"rellm.Regex(r'(?=(a(?1)?b)c*$)a*(b(?2)?c)', dialect='regex')", "'aa'", ("LimitExceededError",),
    ),
    "a call before a character": (
        r"rellm.Regex(r'(?:a|b)*(?R)?', dialect='regex')", "''", ("UnsupportedError",),
    ),
    "fuzzy, five errors in a page": (
        r"rellm.Regex('(?:' + 'the quick brown fox ' * 100 + '){e<=5}', dialect='regex')", "'the quack brwn fox'", (),
    ),
    "fuzzy, costs of five kinds": (
        r"rellm.Regex(r'(?:\w{20,400}){i<=9,d<=9,s<=9,e<=20,1i+2d+3s<=40}', dialect='regex')", "'ab-cd-' * 5", (),
    ),
    "fuzzy repetitions": (r"rellm.Regex(r'(?:(?:(?:a|ab|b)*c){e<=5})+', dialect='regex')", "'abab' * 20", ()),
    "fuzzy without a bound": (r"rellm.Regex(r'(?:(?:[a-z]+ ){3,9}){e}x', dialect='regex')", "'ab cd'", ()),
    "fuzzy, a million errors": (
        r"rellm.Regex(r'(?:[ab]{500}){e<=1000000}', dialect='regex')", "'abc'", ("LimitExceededError",),
    ),
}  # fmt: skip

# Grammars, as GBNF: by name, an expression that makes the text of the grammar, the text that is written, and errors.
GRAMMARS = {
    "60 rules that may be empty in a row": (
        r"""'root ::= ' + ' '.join(f'r{n}' for n in range(60))
        + ''.join(f'\nr{n} ::= "a" | "b" | ""' for n in range(60))""",
        "'ab' * 20", (),
    ),
    "empty rules doubled 25 times": (
        r"""'root ::= r25\nr0 ::= "a" | ""' + ''.join(f'\nr{n + 1} ::= r{n} r{n}' for n in range(25))""",
        "'a' * 100", ("LimitExceededError",),
    ),
    "choices of rules that may be empty, doubled 20 times": (
        r"""'root ::= r20 "!"\nr0 ::= "a" | ""'
        + ''.join(f'\nr{n + 1} ::= r{n} "b" | r{n} "c" | r{n} r{n} | ""' for n in range(20))""",
        "'abc'", ("LimitExceededError", "GrammarError"),
    ),
    "10,000 rules": (
        r"""'root ::= r0' + ''.join(f'\nr{n} ::= "a" r{n + 1} | "b"' for n in range(9999)) + '\nr9999 ::= "c"'""",
        "'a' * 50", (),
    ),
    "a chain of 500 rules": (
        r"""'root ::= r0' + ''.join(f'\nr{n} ::= r{n + 1}' for n in range(500)) + '\nr500 ::= "(" r0 ")" | "a"'""",
        "'(' * 200", ("LimitExceededError",),
    ),
    "a chain of 500 rules that may be empty": (
        r"""'root ::= r0' + ''.join(f'\nr{n} ::= r{n + 1} "x"?' for n in range(500)) + '\nr500 ::= "(" r0 ")" | ""'""",
        "'((x'", ("LimitExceededError",),
    ),
    "hidden left recursion": (r"""'root ::= e root "a" | "b"\ne ::= "x" | ""'""", "''", ("GrammarError",)),
    "left recursion through 300 rules": (
        r"""'root ::= r0' + ''.join(f'\nr{n} ::= r{(n + 1) % 300} "a" | "b{n}"' for n in range(300))""",
        "'b1'", ("GrammarError", "LimitExceededError"),
    ),
    "a rule that is its own tail": (r"""'root ::= "a" root | "b"'""", "'a' * 5000", ()),
    "a rule that is its own tail for ever": (r"""'root ::= "a" root'""", "''", ("GrammarError", "UnsatisfiableError")),
    "exponential ambiguity": (r"""'root ::= root root | "a"'""", "'a' * 2000", ("GrammarError", "LimitExceededError")),
    "exponential ambiguity of sums": (
        r"""'root ::= e\ne ::= e "+" e | e "*" e | "(" e ")" | "1"'""", "'1+1*' * 400", ("LimitExceededError",),
    ),
    "exponential ambiguity of tails": (
        r"""'root ::= "a" root root | "a" root | "a" | "b"'""", "'a' * 300", ("LimitExceededError",),
    ),
}  # fmt: skip

# Patterns whose matches are far away, or hard to measure, and a text before.
FAR = {
    "800 word characters": (r"\w{800}", ""),
    "10,000 of anything": (r".{9999}x", ""),
    "a lookahead in 300": (r"(?:(?:(?:é{49}|[\s ])|(?=[a-z])b[^a]b)){300}", ""),
    "counts of counts": (r"(?:\w{1299,1301}){299}", "a"),
    "a lookahead before 9,000": (r"[^a]{26,56}(?= ab)(?:(?:[^\"\n]){1000}?){9}", ""),
    "eight million": (r"(?:(?: | {9,11}| {2,11}| )(?:\w|\W){181}){46274,106274}?", " a"),
    "seven million": (r"(?=[\d\Wab ])(?:(?:(?:\w|b|(?:ab|b)){1000}){100}){70}", "a"),
    "lookaheads in counts": (
        r"(?:(?:(?!ab|b)\d(?:ab){9,10}|ab\d[\w日][ab])(?:é+|(?:ab|b)|(?:ab){35,36}|(?![ab])\W)(?:(?>é)| é)){96,98}", "",
    ),
    "far in a negative lookahead": (
        r"[a-z]{2,2}(?!.*(?:[ab]|.)(?:ab){29747,29749})(?:(?:(?:ab|b)){30,}\sab){577,579}", "",
    ),
    "a word twice after 800": (r"\w{800}(\w+) \1", "a"),
    "5,000 counted words": (
        "(?:" + "|".join(f"{n * 7919 % 5 ** 8:o}{{{n % 9},{n % 80 + 9}}}" for n in range(5000)) + "){0,50}", "1",
    ),
}  # fmt: skip

PROGRAM = """
import resource, sys, time, warnings
warnings.simplefilter("ignore")
import rellm
tokens = [bytes([byte]) for byte in range(256)]
tokens += [(first + second).encode() for first in "abcdeé日 1" for second in "abcdeé日 1"]
tokens += [b"the ", b"word", b"a" * 60]
vocabulary = rellm.Vocabulary([*tokens, None], [len(tokens)])
for dialect in ("re", "regex"):  # the tables are read, numpy is there
    rellm.compile(rellm.Regex("a", dialect=dialect), vocabulary).matcher().mask()
given, text = {constraint}, {text}
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, start = peak(), time.process_time()
try:
    matcher = rellm.compile(given, vocabulary).matcher()
    for character in text:
        mask = matcher.mask()
        assert mask.any(), "an empty mask for a live text"
        matcher.advance_bytes(character.encode("utf-8", "surrogatepass"))
    matcher.mask(); matcher.forced_bytes(); matcher.shortest_completion(); matcher.explain(0)
    outcome = "answer"
except rellm.RellmError as error:
    assert len(str(error)) < 2000, len(str(error))
    if isinstance(error, rellm.LimitExceededError):
        assert error.limit in ("memory_bytes", "fuel", "nesting", "pattern_length") and "imit" in str(error), error
    outcome = type(error).__name__
print(outcome, time.process_time() - start, peak() - before)
"""

BUDGET = (
    PROGRAM.partition("before, start =")[0]
    + """
import numpy
row = numpy.zeros((1, len(vocabulary) // 32 + 1), dtype=numpy.uint32)
before, slowest = peak(), 0.0
for left in (1, 20, 200, 2000):
    for ask in ("tokens_to_match(left)", "matches_within(left)", "fill_mask_within(row, 0, left)", "mask()"):
        rellm.compile("b", vocabulary)
        matcher = rellm.compile(given, vocabulary, limits=rellm.Limits(fuel=20_000_000 - left)).matcher()
        matcher.advance_bytes(text.encode())
        start = time.process_time()
        try:
            eval("matcher." + ask)
        except rellm.LimitExceededError as error:
            assert error.limit in ("memory_bytes", "fuel"), error
        slowest = max(slowest, time.process_time() - start)
print("answer", slowest, peak() - before)
"""
)


def run(program: str, constraint: str, text: str) -> tuple[str, float, float]:
    """The outcome, seconds of CPU time, and megabytes."""
    program = textwrap.dedent(program).replace("{constraint}", constraint).replace("{text}", text)

    def bounded() -> None:  # a crash or a runaway must not take the machine with it
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, preexec_fn=bounded
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outcome, seconds, megabytes = done.stdout.split()
    return outcome, float(seconds), float(megabytes)


@pytest.mark.parametrize("case", CASES)
def test_it_ends_in_a_second_and_256_mb(case: str) -> None:
    constraint, text, fitting = CASES[case]
    outcome, seconds, megabytes = run(PROGRAM, constraint, text)
    if "PatternError" in fitting or "UnsatisfiableError" in fitting:
        assert outcome in fitting
    else:
        assert outcome in ("answer", *fitting)
    assert seconds <= SECONDS
    assert megabytes <= MEGABYTES


@pytest.mark.parametrize("case", GRAMMARS)
def test_a_grammar_ends_in_a_second_and_256_mb(case: str) -> None:
    grammar, text, fitting = GRAMMARS[case]
    program = PROGRAM.replace("given, text = {constraint}", "make, text = lambda: {constraint}")
    program = program.replace("(given", "(make()")
    outcome, seconds, megabytes = run(program, f"rellm.Grammar({grammar}, format='gbnf')", text)
    assert outcome in ("answer", *fitting)
    # Reading and checking 10,000 rules takes Python 0.7 s of it, on a machine that does nothing else.
    assert seconds <= (1.5 * SECONDS if case == "10,000 rules" else SECONDS)
    assert megabytes <= MEGABYTES


@pytest.mark.parametrize("case", FAR)
def test_what_a_budget_asks_ends_in_a_second_and_256_mb(case: str) -> None:
    pattern, text = FAR[case]
    _, seconds, megabytes = run(BUDGET, repr(pattern), repr(text))
    assert seconds <= SECONDS
    assert megabytes <= MEGABYTES


def test_comparing_what_groups_captured_is_paid_for() -> None:
    """One compile took 20 s under the default limits: the characters to compare with were not charged."""
    tokens = [b"s", b"S", b"\xbfSSSS", b"\xc3\x9f\xc3\x9fss", b"\x9f", b"\xc5", b"\xc3", b"sS\xc3", b"\xbf", b"Ss"]
    vocabulary = rellm.Vocabulary([*tokens, None], eos_token_ids=[len(tokens)])
    groups = r"(?a:\S[\d][sß-ßs]?+|(?P<g1>ß\bſ{1,2})|[S-ß\xdfs](?<![\D]s{2}?){0}(ß{3}))*?"
    pattern = re.compile(groups + r"(?!s.|\2{3}(?(2)ſ{0}+)|$ſ{,1})\1", re.I)
    start = time.process_time()
    with contextlib.suppress(rellm.UnsatisfiableError, rellm.LimitExceededError):
        rellm.compile(pattern, vocabulary).matcher().mask()
    assert time.process_time() - start <= SECONDS
