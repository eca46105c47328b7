"""Text of others in Markdown: shown as it is, and obeyed by nothing (pitfall P21).

What somebody wrote stands in code, where a forge finds no mention, link, picture, comment or HTML. Nothing that
decides anything is ever read from what is written here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gitrelease.render.text import clean, clean_lines, fit

MOST_CHARACTERS = 65_000
"""A forge takes a little more; it refuses a text that is longer as a whole."""
_CUT = "\n\n_There is more: the manifest and the files of this pull request have all of it._\n"
_RUNS = re.compile(r"`+")


def code(text: object) -> str:
    """Write a text of others on one line, as code; in tables as well."""
    shown = clean(text).replace("|", "\\|")
    fence = "`" * (max(map(len, _RUNS.findall(shown)), default=0) + 1)
    space = " " if shown.startswith("`") or shown.endswith("`") or not shown.strip() else ""
    return f"{fence}{space}{shown}{space}{fence}"


def block(text: str, language: str = "text") -> str:
    """Write lines of others, as a block of code."""
    shown = clean_lines(text).rstrip("\n")
    fence = "`" * max(3, max(map(len, _RUNS.findall(shown)), default=0) + 1)
    return f"{fence}{language}\n{shown}\n{fence}\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; whatever others wrote in its cells has been through `code`."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def limited(parts: Iterable[str], most: int = MOST_CHARACTERS) -> str:
    """Join parts, as many as there is room for; what is left out is said."""
    text = ""
    for part in parts:
        if len(text) + len(part) + len(_CUT) > most:
            return text.rstrip("\n") + _CUT
        text += part
    return text


def label(text: str) -> str:
    """Write a text of others as a label in a Mermaid picture: letters, digits and a little more, else its code."""
    shown = fit(clean(text), 40)
    return "".join(one if one.isalnum() or one in " _-.:" else f"#{ord(one)};" for one in shown)
