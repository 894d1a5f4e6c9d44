"""The values of `format`: patterns of whole strings, in the syntax that ECMA-262 and Python's `re` share.

Sources: RFC 3339 (dates, times, durations), RFC 5321 (mail addresses), RFC 1123 and 5890 (host names), RFC 2673 and
4291 (IP addresses), RFC 3986 and 3987 (URIs and IRIs), RFC 6570 (URI templates), RFC 6901 (JSON pointers), RFC 4122
(UUIDs).
"""

from __future__ import annotations

from typing import Any, Final

_LEAP_YEAR: Final = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
DATE: Final = (
    r"(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))|" + _LEAP_YEAR + r"-02-29)"
)
_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_FRACTION: Final = r"(?:\.[0-9]+)?"


def _leap_seconds() -> str:
    """Times with second 60 that are 23:59 in UTC; offsets are whole or half hours."""
    ways = [rf"23:59:60{_FRACTION}[Zz]"]
    offsets: dict[str, list[str]] = {}
    for half in (0, 30):
        for hours in range(24):
            offset = hours * 60 + half
            for sign, minutes in (("+", 23 * 60 + 59 + offset), ("-", 23 * 60 + 59 - offset)):
                hour, minute = divmod(minutes % (24 * 60), 60)
                offsets.setdefault(f"{hour:02}:{minute:02}", []).append(f"[{sign}]{hours:02}:{half:02}")
    ways += [rf"{clock}:60{_FRACTION}(?:{'|'.join(found)})" for clock, found in offsets.items()]
    return "|".join(ways)


TIME: Final = rf"(?:{_CLOCK}:[0-5][0-9]{_FRACTION}(?:[Zz]|[+-]{_CLOCK})|{_leap_seconds()})"
_HOURS: Final = r"(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)"
_DAYS: Final = r"(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)"
DURATION: Final = rf"P(?:[0-9]+W|{_DAYS}(?:T{_HOURS})?|T{_HOURS})"

_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4: Final = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_GROUP: Final = r"[0-9A-Fa-f]{1,4}"
_LAST: Final = rf"(?:{_GROUP}:{_GROUP}|{IPV4})"
IPV6: Final = "(?:" + "|".join(
    [
        rf"(?:{_GROUP}:){{6}}{_LAST}",
        rf"::(?:{_GROUP}:){{5}}{_LAST}",
        *(rf"(?:(?:{_GROUP}:){{0,{n}}}{_GROUP})?::(?:{_GROUP}:){{{4 - n}}}{_LAST}" for n in range(5)),
        rf"(?:(?:{_GROUP}:){{0,5}}{_GROUP})?::{_GROUP}",
        rf"(?:(?:{_GROUP}:){{0,6}}{_GROUP})?::",
    ]
) + ")"  # fmt: skip
UUID: Final = r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"

# No label has hyphens at its third and fourth place, except in the prefix of an encoded one.
_LABEL: Final = r"(?!..--)[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
_ENCODED: Final = r"[Xx][Nn]--[0-9A-Za-z](?:[0-9A-Za-z-]{0,57}[0-9A-Za-z])?"
HOSTNAME: Final = rf"(?=.{{1,253}}$)(?:{_LABEL}|{_ENCODED})(?:\.(?:{_LABEL}|{_ENCODED}))*"
_PLAIN_LABEL: Final = r"[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
_ATOM: Final = r"[0-9A-Za-z!#$%&'*+/=?^_`{|}~-]+"
_QUOTED: Final = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
EMAIL: Final = (
    rf"(?:{_ATOM}(?:\.{_ATOM})*|{_QUOTED})@(?:{_PLAIN_LABEL}(?:\.{_PLAIN_LABEL})*|\[(?:{IPV4}|IPv6:{IPV6})\])"
)
_WIDE: Final = "\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\U00010000-\U000efffd"
_WIDE_ATOM: Final = rf"[0-9A-Za-z!#$%&'*+/=?^_`{{|}}~{_WIDE}-]+"
# Without the three full stops of East Asia, which separate labels.
_WIDE_LETTER: Final = (
    "0-9A-Za-z\u00a0-\u3001\u3003-\ud7ff\uf900-\ufdcf\ufdf0-\uff0d\uff0f-\uff60\uff62-\uffef\U00010000-\U000efffd"
)
_WIDE_LABEL: Final = rf"[{_WIDE_LETTER}](?:[{_WIDE_LETTER}-]{{0,61}}[{_WIDE_LETTER}])?"
IDN_EMAIL: Final = rf"(?:{_WIDE_ATOM}(?:\.{_WIDE_ATOM})*|{_QUOTED})@{_WIDE_LABEL}(?:\.{_WIDE_LABEL})*"
_IDN_LABEL: Final = rf"(?:(?!..--){_WIDE_LABEL}|{_ENCODED})"
IDN_HOSTNAME: Final = rf"(?=.{{1,253}}$){_IDN_LABEL}(?:[.\u3002\uff0e\uff61]{_IDN_LABEL})*"


def _uri(wide: str, private: str) -> tuple[str, str]:
    """The patterns of a URI, and of a URI or a relative reference; `wide` are further characters that stand for
    themselves, `private` those that do so in a query."""
    escape = "%[0-9A-Fa-f]{2}"
    unreserved = rf"0-9A-Za-z._~{wide}\-"
    char = rf"(?:[{unreserved}!$&'()*+,;=:@]|{escape})"
    segment, filled = rf"{char}*", rf"{char}+"
    without_colon = rf"(?:[{unreserved}!$&'()*+,;=@]|{escape})+"
    user = rf"(?:(?:[{unreserved}!$&'()*+,;=:]|{escape})*@)?"
    name = rf"(?:[{unreserved}!$&'()*+,;=]|{escape})*"
    literal = rf"\[(?:{IPV6}|[vV][0-9A-Fa-f]+\.[0-9A-Za-z._~!$&'()*+,;=:-]+)\]"
    authority = rf"//{user}(?:{literal}|{name})(?::[0-9]*)?(?:/{segment})*"
    absolute = rf"/(?:{filled}(?:/{segment})*)?"
    rootless = rf"{filled}(?:/{segment})*"
    tail = (
        rf"(?:\?(?:[{unreserved}!$&'()*+,;=:@/?{private}]|{escape})*)?(?:#(?:[{unreserved}!$&'()*+,;=:@/?]|{escape})*)?"
    )
    uri = rf"[A-Za-z][0-9A-Za-z+.-]*:(?:{authority}|{absolute}|{rootless}|){tail}"
    relative = rf"(?:{authority}|{absolute}|{without_colon}(?:/{segment})*|){tail}"
    return uri, rf"(?:{uri}|{relative})"


URI, URI_REFERENCE = _uri("", "")
_UCS: Final = "\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\U00010000-\U0001fffd\U00020000-\U0002fffd\U00030000-\U000efffd"
IRI, IRI_REFERENCE = _uri(_UCS, "\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd")
_NAME: Final = r"(?:[0-9A-Za-z_]|%[0-9A-Fa-f]{2})(?:\.?(?:[0-9A-Za-z_]|%[0-9A-Fa-f]{2}))*(?::[1-9][0-9]{0,3}|\*)?"
URI_TEMPLATE: Final = (
    rf"(?:[!#$&(-;=?-\[\]_a-z~{_UCS}\ue000-\uf8ff]|%[0-9A-Fa-f]{{2}}|\{{[+#./;?&=,!@|]?{_NAME}(?:,{_NAME})*\}})*"
)
JSON_POINTER: Final = r"(?:/(?:[^~/]|~[01])*)*"
RELATIVE_JSON_POINTER: Final = rf"(?:0|[1-9][0-9]*)(?:#|{JSON_POINTER})"

# The subset that Python's own types parse: no year 0, no second 60, six digits of a second, and short durations.
_YEAR: Final = r"(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_PYTHON_LEAP_YEAR: Final = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
PYTHON_DATE: Final = (
    rf"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    rf"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_PYTHON_LEAP_YEAR}-02-29)"
)
_PYTHON_CLOCK: Final = rf"{_CLOCK}:[0-5][0-9](?:\.[0-9]{{1,6}})?"
_PYTHON_TIME: Final = rf"{_PYTHON_CLOCK}(?:[Zz]|[+-]{_CLOCK})"
_SHORT: Final = "(?:0|[1-9][0-9]{0,3})"
_PYTHON_HOURS: Final = rf"(?:{_SHORT}H(?:{_SHORT}M(?:{_SHORT}S)?)?|{_SHORT}M(?:{_SHORT}S)?|{_SHORT}S)"
# The patterns of formats for Python types, by the name of the format in the schema.
PYTHON_FORMATS: Final[dict[Any, str]] = {
    "date": PYTHON_DATE,
    "date-time": f"{PYTHON_DATE}T{_PYTHON_TIME}",
    "naive-date-time": f"{PYTHON_DATE}T{_PYTHON_CLOCK}",
    "time": _PYTHON_TIME,
    "duration": rf"P(?:{_SHORT}W|{_SHORT}D(?:T{_PYTHON_HOURS})?|T{_PYTHON_HOURS})",
    "ipv4network": rf"{IPV4}/32",
    "ipv6network": rf"{IPV6}/128",
    "ipv4interface": rf"{IPV4}/(?:[0-9]|[12][0-9]|3[0-2])",
    "ipv6interface": rf"{IPV6}/(?:[0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])",
    "base64": "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?",
    "base64url": "(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]==|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048]=)?",
    "uri": "",  # narrowed by a pattern
    "path": "",
    "password": "",
    "binary": "",
}

EXACT_FORMATS: Final[dict[Any, str]] = {
    "date": DATE,
    "duration": DURATION,
    "email": EMAIL,
    "ipv4": IPV4,
    "ipv6": IPV6,
    "iri": IRI,
    "iri-reference": IRI_REFERENCE,
    "json-pointer": JSON_POINTER,
    "relative-json-pointer": RELATIVE_JSON_POINTER,
    "uri": URI,
    "uri-reference": URI_REFERENCE,
    "uri-template": URI_TEMPLATE,
    "url": URI,
    "uuid": UUID,
    "int32": "",
    "int64": "",
    "float": "",
    "double": "",
}
_LEAP: Final = "second 60 is written with offsets of whole and half hours only"
NARROWER_FORMATS: Final[dict[Any, str]] = {"date-time": _LEAP, "datetime": _LEAP, "time": _LEAP}
WIDER_FORMATS: Final[dict[Any, str]] = {
    "hostname": "that an encoded label (xn--) decodes is not checked",
    "idn-email": "labels of the host are not checked one by one",
    "idn-hostname": "the rules of context for single characters are not checked",
}
OTHER_FORMATS: Final[dict[Any, str]] = {"regex": "the patterns that ECMA-262 allows are no regular language"}
_PATTERNS: Final[dict[Any, str]] = {
    **{name: pattern for name, pattern in EXACT_FORMATS.items() if pattern},
    "date-time": f"{DATE}[Tt]{TIME}",
    "datetime": f"{DATE}[Tt]{TIME}",
    "time": TIME,
    "hostname": HOSTNAME,
    "idn-email": IDN_EMAIL,
    "idn-hostname": IDN_HOSTNAME,
}


def is_string_format(name: Any, is_python: bool = False) -> bool:
    """Whether a value of `format` restricts strings here; `is_python`: for a Python type."""
    if not isinstance(name, str):
        return False
    if is_python and name in PYTHON_FORMATS:
        return bool(PYTHON_FORMATS[name])
    return name in _PATTERNS


def pattern_of(name: str, is_python: bool = False) -> str:
    """The pattern of the whole strings of a format."""
    return PYTHON_FORMATS.get(name, _PATTERNS.get(name, "")) if is_python else _PATTERNS[name]
