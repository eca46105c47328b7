"""The workflows that `gitrelease init --github` writes: check, gate and sync, as GitHub Actions runs them.

What runs on a pushed branch may be rewritten by whoever pushes it, so `check` has no right to change anything. `gate`
and `sync` run as the main branch has them, on events that take nothing from a branch but its name, and the name
reaches a shell only through a variable (pitfalls P12 and P15). None of them runs a file of the repository.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gitrelease import __version__
from gitrelease.commands.beginning import Beginning
from gitrelease.core.names import CommitId, branch
from gitrelease.errors import Refused
from gitrelease.repo import Repo, plain

FOLDER = ".github/workflows"

# Nothing that is a pattern to GitHub, or means something else in YAML or in an expression.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")

_SETUP = """\
      - uses: actions/setup-python@42375524e23c412d93fb67b49958b491fce71c38 # v5.4.0
        with:
          python-version: "3.11"
      # Before there is a checkout, with its credentials; and isolated, so that no file beside it is run as pip.
      - run: python -I -m pip install "gitrelease[github]==@VERSION@"
"""

# The whole history, and credentials that git finds: gitrelease fetches by itself, and refuses a shallow clone.
_CHECKOUT = """\
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
        with:
          ref: "@MAIN@"
          fetch-depth: 0
"""

_CHECK = f"""\
# Written by `gitrelease init`; yours to change. Says what is wrong with submitted versions and packages.
#
# GitHub runs this file as the pushed branch has it, so whoever pushes can rewrite it. It may read and nothing else,
# and nothing is decided by what it says.
name: gitrelease check
on:
  push:
    branches: ["submit/**", "package/**"]
  pull_request_review:
    types: [submitted, edited, dismissed]
permissions:
  contents: read
  pull-requests: read
jobs:
  check:
    if: github.event_name == 'push' && !github.event.deleted
    runs-on: ubuntu-24.04
    timeout-minutes: 15
    steps:
{_SETUP}{_CHECKOUT}      - env:
          BRANCH: ${{{{ github.ref_name }}}}
          GITHUB_TOKEN: ${{{{ github.token }}}}
          GITRELEASE_ROOT: ${{{{ vars.GITRELEASE_ROOT }}}}
        run: gitrelease check --ref "$BRANCH"
  review:
    # Does nothing itself: that it ends is what starts `gitrelease gate`.
    if: github.event_name == 'pull_request_review'
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    steps:
      - run: echo "somebody reviewed"
"""

_GATE = f"""\
# Written by `gitrelease init`; yours to change. Gives the verdict on a package, and merges one that is approved.
#
# GitHub runs this file as the default branch has it, whatever a pull request changes. Of the pull request it takes the
# name of its branch and runs nothing of what it holds. Sync judges again whatever is merged.
name: gitrelease gate
on:
  pull_request_target:
    types: [opened, reopened, synchronize, closed]
  workflow_run:
    workflows: [gitrelease check]
    types: [completed]
permissions: {{}}
jobs:
  gate:
    if: >-
      (github.event_name == 'pull_request_target'
      && startsWith(github.event.pull_request.head.ref, 'package/')
      && github.event.pull_request.head.repo.full_name == github.repository)
      || (github.event_name == 'workflow_run'
      && github.event.workflow_run.event == 'pull_request_review'
      && startsWith(github.event.workflow_run.head_branch, 'package/')
      && github.event.workflow_run.head_repository.full_name == github.repository)
    # Of the job: a run that does nothing, as for a branch of a fork, must not take the place of one that waits.
    concurrency:
      group: gitrelease-gate-${{{{ github.event.pull_request.head.ref || github.event.workflow_run.head_branch }}}}
      cancel-in-progress: false
    runs-on: ubuntu-24.04
    timeout-minutes: 15
    permissions:
      contents: write # merges what is approved
      pull-requests: write # says below the pull request what is missing
      statuses: write
    steps:
{_SETUP}{_CHECKOUT}      - env:
          BRANCH: ${{{{ github.event.pull_request.head.ref || github.event.workflow_run.head_branch }}}}
          GITHUB_TOKEN: ${{{{ github.token }}}}
          GITRELEASE_ROOT: ${{{{ vars.GITRELEASE_ROOT }}}}
        # 3 says that people still have to approve, and that is no failure.
        run: gitrelease gate -- "${{BRANCH#package/}}" || test "$?" -eq 3
"""

_SYNC = f"""\
# Written by `gitrelease init`; yours to change. Brings production in line with what was approved and merged.
#
# Events get lost, doubled and reordered, and a merge by the token of a workflow starts nothing: so each run does all
# that is outstanding, and one runs now and then for no reason. The environment is to be limited to the main branch;
# what only a runner may have is kept there.
name: gitrelease sync
on:
  push:
    branches: ["@MAIN@"]
  workflow_run:
    workflows: [gitrelease gate]
    types: [completed]
  schedule:
    - cron: "7,37 * * * *"
  workflow_dispatch:
permissions: {{}}
concurrency:
  group: gitrelease-production
  cancel-in-progress: false
jobs:
  sync:
    if: github.ref == 'refs/heads/@MAIN@'
    runs-on: ubuntu-24.04
    timeout-minutes: 60
    environment: production
    permissions:
      contents: write # publishes the notes of a release; moves the ledger where there is no deploy key
      deployments: write
      pull-requests: read
    steps:
{_SETUP}{_CHECKOUT}          ssh-key: ${{{{ secrets.GITRELEASE_DEPLOY_KEY }}}}
      - env:
          EMAIL: ${{{{ vars.GITRELEASE_RUNNER_EMAIL }}}}
          SIGNING_KEY: ${{{{ secrets.GITRELEASE_SIGNING_KEY }}}}
        run: |
          git config user.name gitrelease
          git config user.email "$EMAIL"
          if [ -n "$SIGNING_KEY" ]; then
            (umask 077 && printf '%s\\n' "$SIGNING_KEY" > "$RUNNER_TEMP/gitrelease-signing-key")
            git config gpg.format ssh
            git config user.signingKey "$RUNNER_TEMP/gitrelease-signing-key"
          fi
      - env:
          GITHUB_TOKEN: ${{{{ github.token }}}}
          GITRELEASE_ROOT: ${{{{ vars.GITRELEASE_ROOT }}}}
        run: gitrelease sync
"""

_NEED = (
    "the workflows need the trust root: gh variable set GITRELEASE_ROOT",
    "sync runs in the environment `production`: limit it to the main branch, and give it the variable"
    " GITRELEASE_RUNNER_EMAIL, an address of a member with the role runner, and the secrets GITRELEASE_SIGNING_KEY, the"
    " private key of that member, and GITRELEASE_DEPLOY_KEY, a deploy key that may write",
)

_FILES = {"check": _CHECK, "gate": _GATE, "sync": _SYNC}


def workflow_files(main: str) -> Mapping[str, bytes]:
    """Write the workflows of a repository, by path.

    Args:
        main: the name of the main branch.

    Raises:
        Refused: the name means something else to GitHub, YAML or a shell.
    """
    if not _PLAIN_NAME.fullmatch(main):
        raise Refused(
            f"the main branch is called {plain(main)!r}, and workflows cannot be written for a name like that",
            hint=f"git branch -m {plain(main)!r} main, here and on GitHub; then run it again",
        )
    return {
        f"{FOLDER}/gitrelease-{name}.yml": text.replace("@MAIN@", main)
        .replace("@VERSION@", __version__)
        .encode()
        for name, text in _FILES.items()
    }


def add_workflows(repo: Repo, main: str, base: CommitId | None, beginning: Beginning) -> list[str]:
    """Add the workflows to what a repository begins with, on top of a commit; what somebody has there stays.

    Returns:
        What is left to do before they work.
    """
    for path, data in workflow_files(main).items():
        known = None if base is None else repo.content(base, path)
        there = known if known is not None else repo.read_working(path)
        if there is None:
            beginning.extras[path] = data
        elif there != data:
            beginning.notes.append(f"{path} was left alone; it is not what gitrelease would write")
    return list(_NEED)


def write_lacking(repo: Repo, main: str) -> list[str]:
    """Write the workflows that the main branch does not have yet into the working tree; they go no other way."""
    tip = repo.tip(branch(main))
    written = []
    for path, data in workflow_files(main).items():
        if (tip is None or repo.content(tip, path) is None) and repo.read_working(path) is None:
            repo.write_working(path, data)
            written.append(path)
    if not written:
        return []
    return [
        f"{', '.join(written)} was written into your working tree; commit it and push it like any other file"
    ]
