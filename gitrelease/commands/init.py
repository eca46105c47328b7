"""`gitrelease init`: make a repository into a release repository, and write its trust root."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from gitrelease.archiving import read_archive
from gitrelease.checking import Draft, check_drafts, document_of
from gitrelease.commands import until_first
from gitrelease.commands.check import crowded
from gitrelease.commands.importing import Exports, read_exports
from gitrelease.commands.pull import take_over
from gitrelease.commands.submit import CheckFailed
from gitrelease.core.finding import Finding, has_errors
from gitrelease.core.item import ItemState, Record, parse_record, record_document
from gitrelease.core.ledger import Event, Receipt, receipt_document
from gitrelease.core.names import (
    GUARDED,
    HEADS,
    LEDGER,
    WORKSPACE_ITEM,
    WORKSPACE_PATH,
    BlobId,
    CommitId,
    ItemKey,
    Kind,
    NameRefused,
    branch,
    place_of,
    record_path,
)
from gitrelease.core.workspace import Action, Signatures, Workspace, authorize, parse_workspace
from gitrelease.documents import DocumentRefused, dump, parse, set_version
from gitrelease.errors import GitReleaseError, Refused
from gitrelease.messages import message_of
from gitrelease.pen import Pen
from gitrelease.reading.ledger import read_ledger, receipt_of
from gitrelease.reading.sources import PREFIXES, git_hash
from gitrelease.reading.trees import pin, read_document
from gitrelease.repo import EMPTY_TREE, FILE, Entry, Identity, InTheWay, RefMove, Repo, plain
from gitrelease.sample_workspace import first_workspace
from gitrelease.schemas import EDITOR_FOLDER, FILE_GLOBS, editor_settings, schema_text

ROOT_KEY = "gitrelease.root"
"""Where this clone remembers the trust root; runners are told through GITRELEASE_ROOT."""
