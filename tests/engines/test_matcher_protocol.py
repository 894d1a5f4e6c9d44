"""`rellm.Matcher`: one interface for both engines and for a class of one's own, and one `Rejection`."""

from __future__ import annotations

import inspect
import pickle
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rellm

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "by-hand.md"
VOCABULARY = rellm.Vocabulary([bytes([byte]) for byte in range(128)] + [b"ab", None], eos_token_ids=[129])
AUTOMATON = rellm.compile(r"a(b|c)*", VOCABULARY)
SEARCH = rellm.compile(rellm.Regex(r"a(?>b|(?R))*c", dialect="regex"), VOCABULARY)


def documented() -> dict[str, Any]:
    """What the page defines: a matcher of a user's own, over single bytes and an end."""
    code = PAGE.read_text(encoding="utf-8").rsplit("```python\n", 1)[1].partition("```")[0]
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    return namespace


Countdown = documented()["Countdown"]


def test_both_engines_and_a_class_of_ones_own_are_matchers() -> None:
    for matcher in (AUTOMATON.matcher(), SEARCH.matcher(), Countdown(3)):
        assert isinstance(matcher, rellm.Matcher)
    assert (AUTOMATON.engine, SEARCH.engine) == ("automaton", "search")
    assert not isinstance(re.compile("a"), rellm.Matcher)


def test_masks_of_all_of_them_are_filled_in_one_call() -> None:
    matchers = [AUTOMATON.matcher(), SEARCH.matcher(), Countdown(3)]
    rows = np.full((3, 5), 7, dtype=np.uint32)
    rellm.fill_masks(matchers, rows)
    for row, matcher in zip(rows, matchers, strict=True):
        assert (row == matcher.mask()).all()
        assert matcher.allows(ord("a"))


def test_all_of_them_have_every_member_that_the_protocol_documents() -> None:
    members = [name for name in vars(rellm.Matcher) if not name.startswith("_")]
    assert len(members) > 15
    for name in members:
        assert (inspect.getdoc(getattr(rellm.Matcher, name)) or "").strip(), name
        for matcher in (AUTOMATON.matcher(), SEARCH.matcher()):
            assert hasattr(matcher, name), (type(matcher), name)


@pytest.mark.parametrize("compiled", [AUTOMATON, SEARCH], ids=["automaton", "search"])
def test_a_rejection_is_of_one_type(compiled: rellm.CompiledConstraint) -> None:
    matcher = compiled.matcher()
    matcher.advance(ord("a"))
    rejection = matcher.explain(ord("x"))
    assert type(rejection) is rellm.Rejection
    assert rejection.token_id == ord("x")
    assert (rejection.token_bytes, rejection.failed_at, rejection.text_before) == (b"x", 0, "a")
    assert rejection.expected == ('"b", "c", or the end of the text' if compiled is AUTOMATON else '"a" to "c"')
    assert str(rejection) == rejection.message
    with pytest.raises(rellm.TokenRejectedError) as raised:
        matcher.advance(ord("x"))
    for error in (raised.value, pickle.loads(pickle.dumps(raised.value))):
        assert error.rejection is not None
        assert str(error) == error.rejection.message == rejection.message
    with pytest.raises(rellm.TokenRejectedError) as of_bytes:
        matcher.advance_bytes(b"bx")
    assert of_bytes.value.rejection.token_id is None
    assert of_bytes.value.rejection.failed_at == 1
    assert rellm.TokenRejectedError("no").rejection is None


@pytest.mark.parametrize("number", [2**31, 2**63, 2**64, 2**70, -1, -(2**64)])
@pytest.mark.parametrize("compiled", [AUTOMATON, SEARCH], ids=["automaton", "search"])
def test_integers_of_any_size_are_answered_or_refused_with_a_typed_error(
    compiled: rellm.CompiledConstraint, number: int
) -> None:
    matcher = compiled.matcher()
    out = np.zeros((1, 5), dtype=np.uint32)
    assert not matcher.allows(number)
    assert matcher.validate([number]) == 0
    assert matcher.explain(number).token_id == number
    with pytest.raises(rellm.TokenRejectedError):
        matcher.advance(number)
    with pytest.raises(ValueError if number < 0 else IndexError):
        matcher.rollback(number)
    with pytest.raises(IndexError):
        matcher.fill_mask(out, number)
    with pytest.raises(IndexError):
        matcher.fill_mask_within(out, number, 5)
    if number > 0:
        matcher.fill_mask_within(out, 0, number)
        assert (out[0] == matcher.mask()).all()
    with pytest.raises(IndexError):
        VOCABULARY.token_bytes(number)
    for refused in (
        lambda: rellm.Vocabulary([b"a"], [number]),
        lambda: rellm.Literal("a").repeat(number),
        lambda: rellm.Regex("a", number, dialect="re"),
        lambda: rellm.Limits(nesting=number),
    ):
        with pytest.raises((rellm.RellmError, ValueError)):
            refused()
    if number < 0:
        with pytest.raises(ValueError, match="threads is"):
            rellm.fill_masks([AUTOMATON.matcher()], out, number)
    else:
        rellm.fill_masks([AUTOMATON.matcher()], out, number)


def test_help_teaches_how_to_drive_a_model_by_hand() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import rellm; help(rellm.Matcher)"], capture_output=True, text=True, check=True
    )
    for words in ("drives a model by hand", "np.unpackbits", "matcher.advance(tokens[-1])", "rollback", "Raises:"):
        assert words in done.stdout


def test_the_loop_of_the_docstring_writes_what_matches() -> None:
    """The example's lines, run as they stand there."""
    lines = inspect.getdoc(rellm.Matcher).split("\n\n")[2].splitlines()
    code = "\n".join(line.removeprefix("    ") for line in lines)
    chance = np.random.default_rng(1)
    vocabulary = rellm.Vocabulary([bytes([byte]) for byte in range(128)])

    class Tokenizers:
        from_tokenizer = staticmethod(lambda tokenizer: vocabulary)

    namespace = {
        "np": np,
        "tokenizer": None,
        "tokens": [],
        "model": lambda tokens: chance.normal(size=128),
        "rellm": type("Names", (), {"Vocabulary": Tokenizers, "compile": staticmethod(rellm.compile)}),
    }
    exec(code, namespace)
    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}", namespace["matcher"].text.decode())


def test_the_example_of_plain_numpy_is_short_and_right(capsys: pytest.CaptureFixture[str]) -> None:
    path = ROOT / "examples" / "drive_by_hand.py"
    code = path.read_text(encoding="utf-8").split('"""', 2)[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 30
    assert set(re.findall(r"^(?:import|from) (\w+)", code, re.M)) == {"numpy", "rellm"}
    runpy.run_path(str(path), run_name="__main__")
    out = capsys.readouterr().out.splitlines()
    dates = [line.rsplit(" ", 1)[1] for line in out[:3]]
    assert len(set(dates)) == 3
    assert all(re.fullmatch(r"(19|20)\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", date) for date in dates)
    assert "is not allowed after" in out[3]


EXTRAS = ["transformers", "tokenizers", "langchain", "langchain_core", "pydantic", "lark", "huggingface_hub"]


@pytest.mark.slow
def test_the_types_of_a_user_pass_the_type_checker(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(
        "import numpy as np\n"
        "import numpy.typing as npt\n"
        "import rellm\n"
        "def drive(matcher: rellm.Matcher) -> npt.NDArray[np.uint32]:\n"
        "    error = rellm.TokenRejectedError('no')\n"
        "    if error.rejection is not None:\n"
        "        reveal_type(error.rejection.token_bytes)\n"
        "    return matcher.mask()\n"
        "def made(text: rellm.ConstraintLike, vocabulary: rellm.Vocabulary) -> rellm.Matcher:\n"
        "    compiled: rellm.CompiledConstraint = rellm.compile(text, vocabulary)\n"
        "    return compiled.matcher()\n"
        "c: rellm.Constraint = rellm.Regex('a')\n"
        "r: rellm.Report = c.report()\n"
        "p: rellm.Prompt = [{'role': 'user', 'content': 'x'}]\n"
        "async def write(g: rellm.Generator, c: rellm.Constraint, t: rellm.Template) -> rellm.Completion:\n"
        "    reveal_type(g('a', int))\n"
        "    reveal_type(g('a', '[0-9]+', 20, stop='.').value)\n"
        "    reveal_type(g('a', rellm.Choice(['a']), temperature=0.1, do_sample=True).match)\n"
        "    reveal_type(g(['a', 'b'], list[str]))\n"
        "    reveal_type(g(p, list[int]).value)\n"
        "    reveal_type(g([p], rellm.Regex('a'))[0].value_or(None))\n"
        "    reveal_type(g.stream('a', bool).completion.value)\n"
        "    reveal_type(await g.agenerate('a', float, trace=True))\n"
        "    reveal_type(g.astream('a', rellm.Literal('a')))\n"
        "    reveal_type(next(g.stream('a', c)))\n"
        "    reveal_type(g('a', c).trace)\n"
        "    g('a', t).value['hole']\n"
        "    g('a', max_new_tokens='9')\n"
        "    return g('a', c)\n"
    )
    # The user's own class of the documentation, too.
    code = PAGE.read_text(encoding="utf-8").rsplit("```python\n", 1)[1].partition("```")[0]
    (tmp_path / "own.py").write_text(code, encoding="utf-8")
    # What the extras are made of takes minutes to read; of all that only tensors stand in these types.
    (tmp_path / "torch.pyi").write_text("class Tensor: ...\n")
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nstrict = true\n[mypy-own]\nwarn_return_any = false\n"
        + "".join(f"[mypy-{name}.*]\nfollow_imports = skip\n" for name in EXTRAS)
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "user.py", "own.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert 'Revealed type is "bytes"' in done.stdout, done.stdout + done.stderr
    wrong = [line for line in done.stdout.splitlines() if "error:" in line]
    assert len(wrong) == 1, done.stdout
    assert "[call-overload]" in wrong[0]
    assert re.findall(r'Revealed type is "(.*)"', done.stdout)[1:] == [
        "rellm._generate.completion.Completion[int]",
        "str",
        "re.Match[str] | None",
        "list[rellm._generate.completion.Completion[list[str]]]",
        "list[int]",
        "str | None",
        "bool",
        "rellm._generate.completion.Completion[float]",
        "rellm._generate.in_event_loop.AsyncTextStream[str]",
        "str",
        "rellm._trace.trace.Trace | None",
    ]
