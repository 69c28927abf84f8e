"""How results are called: a template in a preset, such as "{stem} {width}x{height}". It names a file, never a path."""

from __future__ import annotations

from pathlib import Path

from flashvsr.files.name_template import FIELD, FIELDS, FORBIDDEN, HIDDEN
from flashvsr.settings.kinds import Kind, Refused

LONGEST = 120  # characters of a template


class NameTemplate(Kind):
    """Text with fields in braces."""

    @property
    def allowed(self) -> str:
        """The fields."""
        *others, last = (f"{{{field}}}" for field in FIELDS)
        return f"a file name in quotes, without its ending, with {', '.join(others)} or {last} in it"

    def accept(self, value: object, base: Path) -> str:
        """Accept a template that makes a visible name in any folder and on any system."""
        if not isinstance(value, str) or not value.strip():
            raise Refused
        if len(value) > LONGEST:
            raise Refused(f"at most {LONGEST} characters")
        unknown = next((field for field in FIELD.findall(value) if field not in FIELDS), None)
        if unknown is not None:
            raise Refused("there is no such field")
        rest = FIELD.sub("", value)
        if "{" in rest or "}" in rest:
            raise Refused("braces are for fields only")
        if "/" in rest or "\\" in rest:
            raise Refused("it is a name and no path")
        if FORBIDDEN.search(rest) or not rest.isprintable():
            raise Refused('none of \\ / : * ? " < > | is allowed in it')
        if value.startswith(HIDDEN):
            raise Refused("it must not begin with a dot, ~ or a space")
        return value
