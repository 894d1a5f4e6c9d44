"""Verifies that the bytes read for each token are those that the tokenizer itself decodes."""

from __future__ import annotations

from rellm._errors import VocabularyError
from rellm._tokenizers.tokenizer_facts import Reading, Tokens

# Texts on which tokenizers differ: spaces, line ends, digits, scripts, combining marks, characters of four bytes.
SAMPLES = (
    'Hello, world! It\'s 3.14159 or -1,000,000.5e-10: {"a": [true, null]} (50 % off).',
    "def f(x):\n    return x**2  # two  spaces\n\n\tif x != 0:\r\n        pass\n",
    "naïve café, Übergröße, Ångström, İstanbul, smørrebrød, cão, żółć",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "我能吞下玻璃而不伤身体。日本語のテキスト、カタカナ、한국어 텍스트 龘𠮷",
    "هذا نص عربي قصير. זהו טקסט קצר. यह एक छोटा पाठ है। นี่คือข้อความสั้น",
    "🙂🎉 👩‍👩‍👧‍👦 🇺🇳 e\u0301 n\u0303 \u1e69 \u0073\u0323\u0307 a\u200db ﬁ ½ ² Ⅷ ℃ ∀x∈ℝ",
    " leading, trailing \u00a0\u2003 and\u3000wide ",
)
_REPLACEMENT = "\ufffd"


def check(tokens: Tokens, reading: Reading) -> None:
    """Raises a `VocabularyError` that names the token where the tokenizer's own text differs.

    Every token of whole characters is decoded once, all of them in one text; tokens that are parts of characters occur
    in the samples. Spaces at the ends may differ: many decoders drop those of the first token, and some, which strip
    whole texts, those of the last.
    """
    whole = [token for token, data in enumerate(tokens) if data and _is_text(data)]
    _compare(whole, tokens, reading)
    for sample in SAMPLES:
        try:
            ids = reading.encode(sample)
        except Exception:  # libraries raise errors of any type for tokens that they cannot decode
            continue
        if all(0 <= token < len(tokens) and tokens[token] is not None for token in ids):
            _compare(ids, tokens, reading)


def _compare(ids: list[int], tokens: Tokens, reading: Reading) -> None:
    if _same(ids, tokens, reading):
        return
    good, bad = 0, len(ids)  # the longest start that agrees, and one that does not
    while bad - good > 1:
        middle = (good + bad) // 2
        if _same(ids[:middle], tokens, reading):
            good = middle
        else:
            bad = middle
    start = bad - 1
    while start > 0 and not _is_text(_joined(ids[start:bad], tokens)):
        start -= 1  # any token of the wrong character may be the cause
    wrong = ids[start:bad]
    named = ", ".join(f"{token} ({reading.name(token)})" for token in wrong)
    several = len(wrong) > 1
    beside = ids[max(0, start - 3) : bad]
    raise VocabularyError(
        f"{'tokens' if several else 'token'} {named} {'write' if several else 'writes'} {_joined(wrong, tokens)!r} by "
        f"the tokenizer's model and decoder, but the tokenizer decodes {beside} as {reading.decode(beside)!r}: "
        "build a rellm.Vocabulary from the bytes of each token"
    )


def _same(ids: list[int], tokens: Tokens, reading: Reading) -> bool:
    ours = _joined(ids, tokens).decode("utf-8", "replace")
    theirs = reading.decode(ids)
    if ours == theirs or ours.strip() == theirs.strip():
        return True
    # Where a text ends inside a character, libraries differ in how many replacement characters they write.
    return _REPLACEMENT in ours and _without_end(ours) == _without_end(theirs)


def _without_end(text: str) -> str:
    return text.rstrip(_REPLACEMENT).strip()


def _joined(ids: list[int], tokens: Tokens) -> bytes:
    return b"".join(tokens[token] or b"" for token in ids)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
