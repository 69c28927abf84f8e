"""What is told about a text that is no valid TOML: the parser's own words, the line, and what is mostly meant."""

from __future__ import annotations

import re

from flashvsr.settings.kinds import shown
from flashvsr.system.text import visible

_LONGEST_REASON = 120  # characters; the parser puts whole keys into some

_PLACE = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)", re.S)
_MANY_DIGITS = re.compile(r"(?<![0-9_])[0-9_]{4301}")  # Python reads no longer number

_ADDRESS = re.compile(r"[\w+.-]+:/.*", re.S)  # may hold a password, so it is not shown
_VALUE = r"^[^=#\"']*=\s*"
_QUOTES = re.compile("[‘’‚“”„«»´`]")  # noqa: RUF001
# The first that matches the line is told; before what the parser's words suggest.
_SLIPS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile("[\u00a0\u2007\u202f]"), "it holds a no-break space; type a plain one"),
    (_QUOTES, 'text stands between straight quotes, as in key = "text"'),
    (
        re.compile(_VALUE + r"(true|false|yes|no|on|off)\b", re.I),
        "yes is written true and no is written false, in lower case; other text needs quotes",
    ),
    (re.compile(_VALUE + r"[0-9]+,[0-9]"), "a number has a point and no comma: one and a half is 1.5"),
    (re.compile(_VALUE + r"[0-9.]+\s*[a-z%\u00d7]", re.I), "a number stands alone, without a unit; text needs quotes"),
    (re.compile(r"^\s*[\w-]+\s*:"), "write key = value, with an equals sign"),
)
_SAID: tuple[tuple[str, str], ...] = (
    ("Invalid value", 'text needs quotes, as in key = "text", and true and false are lower case'),
    ("Cannot overwrite", "the same key stands there twice"),
    ("Cannot declare", "the same table stands there twice"),
    ("Unescaped '\\' in a string", r"in double quotes a backslash is written twice; single quotes leave it alone"),
    ("Expected '=' after a key", "write key = value, with an equals sign"),
)


def syntax_problem(text: str, origin: str, reason: str) -> str:
    """Say what is wrong with a text that the parser refused for `reason`, its own words."""
    match = _PLACE.fullmatch(reason)
    if match is None:
        digits = _MANY_DIGITS.search(text)
        line = f":{text.count(chr(10), 0, digits.start()) + 1}" if digits else ""
        told = "a number of thousands of digits" if digits else visible(reason, _LONGEST_REASON)
        return f"{origin}{line}: not valid TOML: {told}"
    lines = text.split("\n")  # as the parser counts them
    place = int(match["line"] or len(lines))
    content = lines[place - 1].strip() if place <= len(lines) else ""
    what = match["what"]
    code = content.partition("#")[0][:1000]
    slip = next((hint for pattern, hint in _SLIPS if pattern.search(code)), None)
    hint = slip or next((hint for words, hint in _SAID if what.startswith(words)), "")
    told = f"{visible(_ADDRESS.sub('…', what), _LONGEST_REASON)} in {shown(_ADDRESS.sub('…', content))}"
    return f"{origin}:{place}: not valid TOML: {told}{'; ' if hint else ''}{hint}"
