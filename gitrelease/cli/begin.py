"""Beginnings: init, the demo, imports; and what is still to come."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelease.cli.frame import Session, Verb, later_command, session, write
from gitrelease.errors import UsageError


@click.command(
    "init",
    cls=Verb,
    example="""
        gitrelease init                       in an existing repository
        gitrelease init shop                  in a new folder
        gitrelease init shop --import export  with the jobs of a DataArts export
        gitrelease init --server /srv/shop.git
        gitrelease init --github acme/shop    through pull requests on GitHub
    """,
)
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--import",
    "import_file",
    metavar="FILE",
    type=click.Path(exists=True, path_type=Path),
    help="Take over the jobs and scripts of an export.",
)
@click.option("--name", metavar="NAME", help="What the workspace is called.  [the folder's name]")
@click.option("--push/--no-push", default=True, help="Give the beginning to the remote at once.")
@click.option(
    "--server",
    metavar="DIR.git",
    type=click.Path(file_okay=False, path_type=Path),
    help="Make a bare repository that checks every push, or install its hooks anew.",
)
@click.option(
    "--github",
    metavar="OWNER/REPO",
    help="Release through pull requests of this repository on GitHub, and write its workflows.",
)
@click.option("--plain-git", is_flag=True, help="Review on plain git, also where the remote is on GitHub.")
@session
def init(
    session: Session,
    *,
    folder: Path | None,
    import_file: Path | None,
    name: str | None,
    push: bool,
    server: Path | None,
    github: str | None,
    plain_git: bool,
) -> None:
    """Make a release repository of a folder or a repository, and write its trust root.

    With --server its remote is made as well: a bare repository with hooks, on this machine. Where there is no
    working folder, only that is made.

    Where the remote is on GitHub, packages are reviewed as pull requests there. With --github the repository, which
    has to exist, becomes the remote, and workflows that check, merge and release are part of the beginning.
    """
    from gitrelease.commands.init import InitRequest, init
    from gitrelease.render import json, setup
    from gitrelease.wiring import github_address, home_of, utc_now

    if github is not None and (server is not None or plain_git):
        raise UsageError(
            f"--github does not go with {'--server' if server is not None else '--plain-git'}",
            hint="packages are reviewed in one place",
        )
    settings = session.settings
    where = (settings.directory / (folder or Path())).absolute()
    made = None
    if server is not None:
        from gitrelease.commands.server import check_outside, is_working_folder, make_server

        server = (settings.directory / server).resolve()
        works_here = folder is not None or import_file is not None or is_working_folder(where)
        if works_here:
            check_outside(server, where)
        made = make_server(server, environ=settings.environ)
        if not works_here:
            session.show(made, setup.server, json.server)
            return
    request = InitRequest(
        folder=where,
        import_file=None if import_file is None else settings.directory / import_file,
        name=name,
        remote=settings.remote,
        push=push,
        server=server,
        github=None if github is None else github_address(github, settings),
        plain_git=plain_git,
        signing_key=settings.signing_key,
        prompt=settings.prompt,
    )
    result = init(
        request,
        environ=settings.environ,
        now=utc_now,
        home_of=lambda url: home_of(url, settings, say=session.say),
    )
    session.show((made, result), setup.begun_with_server, json.begun_with_server)


@click.command("demo", cls=Verb, example="gitrelease demo shop")
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path))
@session
def demo(session: Session, folder: Path | None) -> None:
    """Play the whole story on this machine, each command shown."""
    from gitrelease.commands.demo import demo

    settings = session.settings
    where = None if folder is None else settings.directory / folder
    lines: list[str] = []
    made = demo(where, environ=settings.environ, say=lines.append if settings.json else _tell)
    if settings.json:
        session.show(made, lambda made, _: str(made), lambda made: {"folder": str(made), "story": lines})


def _tell(text: str) -> None:
    write(f"{text}\n")


@click.command(
    "import",
    cls=Verb,
    example="""
        gitrelease import DWS_orders.job --status saved
        gitrelease import export --status saved --on-duplicate overwrite
    """,
)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--status",
    type=click.Choice(["saved", "submitted", "released"]),
    required=True,
    help="What the items are afterwards: saved, which await submit. The others are not in this version.",
)
@click.option(
    "--on-duplicate",
    type=click.Choice(["skip", "overwrite"]),
    default="skip",
    show_default=True,
    help="What happens to items that are there already.",
)
@session
def import_(session: Session, file: Path, status: str, on_duplicate: str) -> None:
    """Write the jobs and scripts of a DataArts export, a file or a folder, into the working tree."""
    from gitrelease.commands.importing import import_files
    from gitrelease.render import json, setup

    result = import_files(
        session.desk, session.settings.directory / file, status=status, on_duplicate=on_duplicate
    )
    session.show(result, setup.imported, json.imported)


@click.command(
    "completion",
    cls=Verb,
    example="""
        eval "$(gitrelease completion bash)"                     in ~/.bashrc
        eval "$(gitrelease completion zsh)"                      in ~/.zshrc
        gitrelease completion fish | source                      in config.fish
    """,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, tasks and packages in a shell."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is not None:
        root = ctx.find_root().command
        write(found(root, {}, "gitrelease", "_GITRELEASE_COMPLETE").source().rstrip("\n") + "\n")


export = later_command(
    "export",
    "Write items as a DataArts export.",
    example="gitrelease export orders -o orders.zip",
    hint="the branch deploy/<target> of the git target holds them as DataArts takes them",
)
doctor = later_command(
    "doctor",
    "Say which settings of the repository leave a hole.",
    example="gitrelease doctor",
    hint="`gitrelease verify` checks what was released",
)

COMMANDS = {
    "init": init,
    "demo": demo,
    "import": import_,
    "export": export,
    "doctor": doctor,
    "completion": completion,
}
