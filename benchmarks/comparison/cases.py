"""The patterns, and one sample text for each.

All of them are free of lookaround, so that partial matching by the `regex` library is an exact oracle, and written so
that the dialects of all engines read the same language wherever they read it at all: `[0-9]` and not `\\d` where digits
are meant.
"""

from dataclasses import dataclass
from itertools import islice


@dataclass(frozen=True)
class Case:
    """A pattern and a text that it matches in full."""

    name: str
    pattern: str
    sample: str


_DATE = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_NAME = "[a-z_][a-z0-9_]{0,30}"
_VALUE = r"([0-9]{1,9}|'[^'\n]{0,80}')"
_TEST = f"{_NAME} (=|<>|<=|>=|<|>|LIKE) {_VALUE}"
_STRING = r'"([^"\\\n]|\\["\\/bfnrt]|\\u[0-9a-f]{4}){0,120}"'

_PROSE = (
    "The wind had dropped by evening, and nobody on the quay spoke. "
    "Ветер стих к вечеру, и на причале никто не говорил; лодки стояли у берега, как всегда. "
    "傍晚时分风停了,码头上没有人说话,渔船静静地停在岸边。"
    "Le vent était tombé, là-bas, près de l'église; ça sentait déjà l'été. "
    "Η θάλασσα ήταν ήρεμη 🙂 और सब चुप थे."
)
_WIDE_WORDS = "Straße наука 北京大学 café данные Zürich 数据科学 naïve мир ελληνικά"

_FIXED = [
    Case("phone", r"(\+1[ -])?\(?[0-9]{3}\)?[ -][0-9]{3}-[0-9]{4}", "+1 (410) 555-0199"),
    Case(
        "date-time", rf"{_DATE}T{_TIME}(\.[0-9]{{1,6}})?(Z|[+-][0-9]{{2}}:[0-9]{{2}})", "2026-11-21T10:03:28.125+01:00"
    ),
    Case("email", r"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}", "maria.lindqvist+orders@mail.example-company.org"),
    Case(
        "URL",
        r"https?://[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*(:[0-9]{1,5})?(/[A-Za-z0-9._~%-]*)*(\?[a-z]+=[^&#\s]*(&[a-z]+=[^&#\s]*)*)?",
        "https://docs.example-site.org:8443/guides/structured-output/regex?lang=en&page=12&query=token%20mask",
    ),
    Case("IPv4", rf"{_OCTET}(\.{_OCTET}){{3}}", "192.168.254.17"),
    Case(
        "seeds",
        r'\{\s*"action":\s*"Final Answer",\s*"action_input":\s*(\{.*\}|"[^"]*")\s*\}\nHuman:',
        '{\n  "action": "Final Answer",\n  "action_input": "The capital of Maryland is Annapolis."\n}\nHuman:',
    ),
    Case("any text", r".{0,2000}", _PROSE),
    Case("a or b", r"(a|b)*a(a|b){12}", "abbabaabbbabaababbaababbba"),
    Case("ten words", r"\w{1,64}( \w{1,64}){0,9}", _WIDE_WORDS),
    Case(
        "UUID list",
        rf"\[{_UUID}(, {_UUID}){{0,9}}\]",
        "[3f2504e0-4f89-41d3-9a0c-0305e82c3301, 9b2e1c77-08ab-4c1d-8e55-d3f1a2b4c6e8, "
        "00000000-1111-2222-b333-abcdefabcdef]",
    ),
    Case(
        "log line",
        rf"\[{_DATE} {_TIME}\] (DEBUG|INFO|WARNING|ERROR) [a-z]+(\.[a-z]+){{0,5}}: [^\n]{{1,300}}",
        "[2026-11-21 09:58:20] WARNING store.index.writer: could not flush segment 4711 (größe 3,2 MB) — retry in 5 s",
    ),
    Case(
        "SQL",
        rf"SELECT (\*|{_NAME}(, {_NAME}){{0,20}}) FROM {_NAME}( WHERE {_TEST}( (AND|OR) {_TEST}){{0,8}})?"
        rf"( ORDER BY {_NAME}( ASC| DESC)?)?( LIMIT [0-9]{{1,6}})?;",
        "SELECT customer_id, full_name, created_at FROM customers WHERE city = 'Köln' AND total_spent >= 2500 "
        "ORDER BY created_at DESC LIMIT 50;",
    ),
    Case(
        "JSON form",
        rf'\{{"name": {_STRING}, "age": [0-9]{{1,3}}, "city": {_STRING}, '
        rf'"tags": \[({_STRING}(, {_STRING}){{0,7}})?\]\}}',
        '{"name": "王小明", "age": 34, "city": "Санкт-Петербург", "tags": ["naïve", "two\\nlines", "数据"]}',
    ),
    Case(
        "CSV row",
        r'("([^"\n]|"")*"|[^",\n]*)(,("([^"\n]|"")*"|[^",\n]*)){4}',
        '4711,"Müller, Anna ""Ann""",Łódź,12.50,"北京, 中国"',
    ),
    Case(
        "quotation",
        r'"[^"\n]{20,400}"( — [^\n]{1,60})?',
        '"Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему." — Лев Толстой',
    ),
    Case(
        "number list",
        r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?(; -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?)*",
        "3.14159; -42; 6.02214076e23; 0.5; 1200; -273.15; 1e-9; 299792458",
    ),
    Case(
        "Markdown list",
        r"(- (\*\*[^*\n]{1,40}\*\*: )?[^*\n]{1,160}\n){1,12}",
        "- **Élan**: a sudden surge of energy\n- plain item, no heading\n- **物价**: 价格总水平\n",
    ),
]

QUICK = ("date-time", "seeds", "any text", "ten words", "200 words")


def words(tokens: list[bytes | None], count: int) -> list[str]:
    """`count` different words of 4 to 18 small letters, made from a vocabulary: every second one is a compound."""
    pieces = [
        t[1:].decode()
        for t in tokens
        if t and t[:1] == b" " and 4 <= len(t) - 1 <= 9 and t[1:].isalpha() and t[1:].isascii() and t[1:].islower()
    ]
    ends = pieces[::-1]

    def make():
        for piece, end in zip(pieces, ends, strict=True):
            yield piece
            yield piece + end

    return list(islice(dict.fromkeys(make()), count))


def all_cases(tokens: list[bytes | None]) -> list[Case]:
    """Every case. The alternations are made from the words of the vocabulary itself."""
    few, many = words(tokens, 200), words(tokens, 5000)
    return [
        *_FIXED,
        Case("200 words", "(" + "|".join(few) + ")", max(few, key=len)),
        Case("5,000 words", "(" + "|".join(many) + ")", max(many, key=len)),
    ]
