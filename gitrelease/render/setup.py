"""What people see of beginnings and of their clone: init, import, pull, and the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitrelease.render.tables import Cell, table
from gitrelease.render.tasks import findings_text
from gitrelease.render.text import Paper, Tone, clean, clean_lines, count, listed, next_step, page

if TYPE_CHECKING:
    from gitrelease.commands.importing import ImportResult
    from gitrelease.commands.init import InitResult
    from gitrelease.commands.pull import Pulled


def notes_text(notes: tuple[str, ...], paper: Paper) -> str:
    """Write what else there is to say."""
    return "".join(f"{paper.paint('note:', Tone.WAITING)} {clean_lines(note)}\n" for note in notes)


def begun(result: InitResult, paper: Paper) -> str:
    """Show the release repository that was made."""
    name = paper.paint(clean(result.workspace_name), Tone.STRONG)
    head = f"the workspace {name} is ready in {clean(result.folder)}"
    root = (
        f"trust root: {result.root}\n"
        "Keep it outside the repository: runners are given it as GITRELEASE_ROOT, and refuse any other ledger."
    )
    step = next_step(paper, "gitrelease submit --all", "once there are jobs below jobs/")
    return page(head, root, notes_text(result.notes, paper), step)


def imported(result: ImportResult, paper: Paper) -> str:
    """Show what an import wrote, and what it left alone."""
    rows = [(Cell("wrote", Tone.GOOD), item) for item in result.written]
    rows += [(Cell("skipped", Tone.DIM), item) for item in result.skipped]
    total = f"{count(len(result.written), 'item')} written, {len(result.skipped)} skipped"
    step = next_step(paper, "gitrelease submit --all", "makes tasks of them") if result.written else ""
    return page(
        findings_text(result.findings, paper),
        table(("", ""), rows, paper),
        notes_text(result.notes, paper),
        total,
        step,
    )


def pulled(result: Pulled, paper: Paper) -> str:
    """Show how the clone was brought up to date."""
    if result.before == result.after:
        moved = "the main branch has nothing new"
    else:
        before = f"{result.before:.7}" if result.before else "nothing"
        moved = f"the main branch went from {before} to {result.after:.7}"
    rows = [("dropped, as the main branch holds it now", path) for path in result.dropped]
    rows += [("kept", path) for path in result.kept]
    step = next_step(paper, "gitrelease status", "shows what is not submitted") if result.kept else ""
    return page(moved, table(("", ""), rows, paper), step)


