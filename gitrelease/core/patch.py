"""Files as text, line by line: the difference the way `git diff` writes it, and how many lines it has."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from io import StringIO
from itertools import chain, compress, count, islice
from typing import TypeVar

from gitrelease.core.values import frozen

Part = TypeVar("Part")

CONTEXT = 3
MOST_WORK = 25_000_000
"""Lines of the one side times lines of the other: comparing more takes too long to wait for."""
MOST_CHARACTERS = 1024 * 1024
"""What is longer on both sides together is not shown."""
_NO_NEWLINE = "\\ No newline at end of file\n"


@frozen
class Patch:
    """A difference of files as text, the way `git diff` writes it, and how many lines it adds and deletes."""

    text: str
    added: int | None
    """None where a file was not compared line by line; the text then says so."""
    deleted: int | None


def patch_of(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Patch:
    """Write how files differ, one after the other by path, in a form that `git apply` takes.

    What is too long, or no text, is named instead of shown; nothing is left out in silence.
    """
    patches = [
        _file_patch(path, before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]
    added = [patch.added for patch in patches if patch.added is not None]
    deleted = [patch.deleted for patch in patches if patch.deleted is not None]
    return Patch(
        text="".join(patch.text for patch in patches),
        added=sum(added) if len(added) == len(patches) else None,
        deleted=sum(deleted) if len(deleted) == len(patches) else None,
    )


def _file_patch(path: str, before: bytes | None, after: bytes | None) -> Patch:
    head = f"diff --git a/{path} b/{path}\n"
    if before is None:
        head += "new file mode 100644\n"
    elif after is None:
        head += "deleted file mode 100644\n"
    try:
        old, new = (lines_of((side or b"").decode()) for side in (before, after))
    except UnicodeDecodeError:
        return Patch(text=f"{head}Binary files a/{path} and b/{path} differ\n", added=None, deleted=None)
    start, end = alike(old, new)
    from_, to = old[start : len(old) - end], new[start : len(new) - end]
    if len(from_) * len(to) > MOST_WORK or sum(map(len, chain(from_, to))) > MOST_CHARACTERS:
        note = (
            f"Files a/{path} and b/{path} differ, and are too long to be shown here:"
            f" {len(from_)} lines before, {len(to)} lines after\n"
        )
        return Patch(text=head + note, added=None, deleted=None)
    if not old and not new:
        return Patch(text=head, added=0, deleted=0)  # an empty file comes or goes
    head += f"--- {'/dev/null' if before is None else f'a/{path}'}\n"
    head += f"+++ {'/dev/null' if after is None else f'b/{path}'}\n"
    from_at = max(0, start - CONTEXT)
    ends = [len(side) - max(0, end - CONTEXT) for side in (old, new)]
    hunks = list(_hunks(old[from_at : ends[0]], new[from_at : ends[1]], from_at))
    lines = [line for hunk in hunks for line in hunk[1:]]
    return Patch(
        text=head + "".join(chain(*hunks)),
        added=sum(line.startswith("+") for line in lines),
        deleted=sum(line.startswith("-") for line in lines),
    )


def lines_of(text: str) -> list[str]:
    """Split a text after each newline, and nowhere else: what else Python calls a line end, git does not."""
    return StringIO(text, newline="\n").readlines()


def _hunks(old: Sequence[str], new: Sequence[str], offset: int) -> Iterator[list[str]]:
    """Give each group of changes: its head, and its lines."""
    for group in SequenceMatcher(None, old, new).get_grouped_opcodes(CONTEXT):
        (_, old_start, _, new_start, _), (_, _, old_end, _, new_end) = group[0], group[-1]
        from_, to = _range(old_start, old_end, offset), _range(new_start, new_end, offset)
        hunk = [f"@@ -{from_} +{to} @@\n"]
        for tag, i, j, k, m in group:
            if tag == "equal":
                hunk += [_line(" ", line) for line in old[i:j]]
            else:
                hunk += [_line("-", line) for line in old[i:j]]
                hunk += [_line("+", line) for line in new[k:m]]
        yield hunk


def _range(start: int, stop: int, offset: int) -> str:
    """Write which lines a hunk is about; one that has none names the line before it."""
    length = stop - start
    first = offset + start + (1 if length else 0)
    return str(first) if length == 1 else f"{first},{length}"


def _line(mark: str, line: str) -> str:
    return f"{mark}{line}" if line.endswith("\n") else f"{mark}{line}\n{_NO_NEWLINE}"


def alike(
    before: Sequence[Part], after: Sequence[Part], differ: Callable[[Part, Part], bool] = operator.ne
) -> tuple[int, int]:
    """Count the elements that two lists begin with alike, and then those that they end with alike."""
    most = min(len(before), len(after))
    start = next(compress(count(), map(differ, before, after)), most)
    rest = most - start
    end = next(compress(count(), map(differ, islice(reversed(before), rest), reversed(after))), rest)
    return start, end
