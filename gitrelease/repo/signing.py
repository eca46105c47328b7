"""Commits in somebody's name: who writes them, how they are signed, and what signatures are worth."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from gitrelease.core.names import BlobId, CommitId, TreeId
from gitrelease.errors import Refused
from gitrelease.repo.objects import headers
from gitrelease.repo.run import Config
from gitrelease.repo.store import Store, check_identity
from gitrelease.repo.values import (
    GitFailed,
    Identity,
    Signature,
    SignatureStatus,
    SigningRefused,
    full_id,
    plain,
)

_IDENT = re.compile(r"(?P<name>[^<>]*?) ?<(?P<email>[^<>]*)> [0-9]+ [+-][0-9]{4}")
_SSH_SIGNATURE = b"-----BEGIN SSH SIGNATURE-----\n"
_TEXT_LIMIT = 4 * 1024 * 1024
_PUBLIC_KEY = re.compile(r"(ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/]{16,}={0,3}( .*)?")
_PORTION = 8
"""How many signatures one process verifies at least: it starts two programs for each."""
_STATUS = {"G": SignatureStatus.GOOD, "U": SignatureStatus.UNKNOWN_KEY, "N": SignatureStatus.NONE}


class Signing(Store):
    """Writes commits, signed or not, and verifies signatures of others."""

    _signatures: dict[str, dict[CommitId, Signature]]
    _settings: dict[str, str | None]

    signing_key: Path | None

    def identity(self) -> Identity:
        """Say who the user is, as git is configured; never guessed from the machine."""
        ran = self.run(
            "var",
            "GIT_AUTHOR_IDENT",
            config=Config.USER,
            settings=("user.useConfigOnly=true",),
            accept=range(256),
        )
        found = _IDENT.fullmatch(ran.out.decode(errors="replace").strip())
        if ran.exit != 0 or found is None or not found["name"] or not found["email"]:
            raise Refused(
                "git does not know who you are",
                hint='run git config --global user.name "Your Name" and user.email you@example.org',
                code="no-identity",
            )
        return Identity(name=found["name"], email=found["email"])

    def write_commit(
        self,
        *,
        tree: TreeId,
        parents: Sequence[CommitId],
        message: str,
        author: Identity,
        when: datetime,
        sign: bool,
    ) -> CommitId:
        """Store a commit; the same arguments, unsigned, make the same commit."""
        check_identity(author)
        if "\0" in message:
            raise Refused("a commit message cannot hold a NUL character")
        at = f"@{int(when.timestamp())} +0000"
        made_by = {
            "GIT_AUTHOR_NAME": author.name, "GIT_AUTHOR_EMAIL": author.email, "GIT_AUTHOR_DATE": at,
            "GIT_COMMITTER_NAME": author.name, "GIT_COMMITTER_EMAIL": author.email, "GIT_COMMITTER_DATE": at,
        }  # fmt: skip
        over = [argument for parent in dict.fromkeys(parents) for argument in ("-p", full_id(parent))]
        settings = self._signing_settings() if sign else ()
        ran = self.run(
            "commit-tree", full_id(tree), *over, "-S" if sign else "--no-gpg-sign",
            stdin=message.encode(), config=Config.USER if sign else Config.SEALED,
            settings=settings, extra=made_by, accept=range(256),
        )  # fmt: skip
        if ran.exit == 0:
            return CommitId(full_id(ran.out.decode().strip()))
        if sign:
            raise SigningRefused(
                f"git could not sign with your key: {ran.err}",
                hint="check user.signingKey, and that ssh-add -l lists the key if it has a passphrase",
            )
        raise GitFailed(f"git could not write a commit: {ran.err}")

    def _signing_settings(self) -> tuple[str, ...]:
        """Choose SSH and the key; refuse where there is no key or nothing to sign with."""
        key = self.signing_key
        if key is None and self.user_setting("user.signingKey") is None and not self.user_setting(
            "gpg.ssh.defaultKeyCommand"
        ):  # fmt: skip
            raise SigningRefused(
                "there is no key to sign with",
                hint="run git config user.signingKey ~/.ssh/id_ed25519.pub, or give a key",
            )
        if key is not None and not key.is_file():
            raise SigningRefused(
                f"the signing key {plain(str(key))} is not there",
                hint="give the path of a key that is, or make one: ssh-keygen -t ed25519",
            )
        if self.user_setting("gpg.ssh.program") is None:
            self._ssh_keygen()
        return ("gpg.format=ssh", *(() if key is None else (f"user.signingKey={key}",)))

    def public_key(self) -> str | None:
        """Give the SSH public key the user signs with: `user.signingKey` names it, or its file.

        `None` when there is none, or when it cannot be read as one: it may be a key of another sort.
        """
        named = self.user_setting("user.signingKey") if self.signing_key is None else str(self.signing_key)
        if named is None:
            return None
        literal = named.removeprefix("key::").strip()
        if _PUBLIC_KEY.fullmatch(literal):
            return literal
        home = self._environ.get("HOME", "~")
        file = Path(home, named[2:]) if named.startswith("~/") else Path(named)
        for candidate in (file, file.with_name(f"{file.name}.pub")):
            try:
                lines = candidate.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError, ValueError):
                continue
            if len(lines) == 1 and _PUBLIC_KEY.fullmatch(lines[0].strip()):
                return lines[0].strip()
        return None

    def _ssh_keygen(self) -> str:
        program = shutil.which("ssh-keygen", path=self._environ.get("PATH"))
        if program is None:
            raise SigningRefused(
                "ssh-keygen is not installed, or not on PATH",
                hint="install OpenSSH; git signs and verifies with it",
            )
        return program

    def user_setting(self, key: str) -> str | None:
        """Read a setting as git has it for this user; asked for once, however often it is needed."""
        if key not in self._settings:
            ran = self.run("config", "-z", "--get", key, config=Config.USER, accept=(0, 1))
            self._settings[key] = ran.out.decode(errors="replace").rstrip("\0") or None
        return self._settings[key]

    def signatures(self, commits: Iterable[CommitId], allowed_signers: str) -> dict[CommitId, Signature]:
        """Verify the signatures of many commits against a list of allowed signers, with one git.

        Only SSH signatures are ever good. Neither the program that verifies nor the list of revoked keys is
        taken from anybody's configuration.
        """
        wanted = list(dict.fromkeys(commits))
        kinds = dict(zip(wanted, (_signed_with(data) for data in self._read(wanted, "commit")), strict=True))
        found = {id_: Signature(status=kind) for id_, kind in kinds.items() if kind is not None}
        # A commit never changes, so what one process verified once against one list stays so.
        known = self._signatures.setdefault(allowed_signers, {})
        to_verify = [id_ for id_ in wanted if id_ not in found and id_ not in known]
        if to_verify:
            known |= self._verified(to_verify, allowed_signers)
        return {id_: found.get(id_) or known[id_] for id_ in wanted}

    def signed_text(self, text: BlobId, allowed_signers: str) -> Signature:
        """Verify the signature that ends a text, as it does a push certificate, against a list of signers."""
        data = self.blob(text, limit=_TEXT_LIMIT)
        signed, mark, rest = data.partition(_SSH_SIGNATURE)
        if not mark:
            status = SignatureStatus.BAD if b"-----BEGIN " in data else SignatureStatus.NONE
            return Signature(status=status)
        program = self._ssh_keygen()
        with TemporaryDirectory(prefix="gitrelease-") as folder:
            allowed, signature = Path(folder, "allowed"), Path(folder, "signature")
            allowed.write_text(allowed_signers, encoding="utf-8", newline="\n")
            signature.write_bytes(mark + rest)
            files = ("-f", str(allowed), "-s", str(signature))
            told = self.run_beside(program, "-Y", "find-principals", *files)
            for who in dict.fromkeys(told.out.decode(errors="replace").splitlines()):
                ran = self.run_beside(program, "-Y", "verify", "-n", "git", "-I", who, *files, stdin=signed)
                if ran.exit == 0:
                    return Signature(status=SignatureStatus.GOOD, principal=who)
        unknown = told.exit != 0
        return Signature(status=SignatureStatus.UNKNOWN_KEY if unknown else SignatureStatus.BAD)

    def _verified(self, ids: Sequence[CommitId], allowed_signers: str) -> dict[CommitId, Signature]:
        """Let git verify signatures: as many processes side by side as there are processors."""
        from concurrent.futures import ThreadPoolExecutor  # brings logging; most commands verify nothing

        program = self._ssh_keygen()
        hands = os.cpu_count() or 1
        size = max(_PORTION, -(-len(ids) // hands))
        portions = [ids[start : start + size] for start in range(0, len(ids), size)]
        with TemporaryDirectory(prefix="gitrelease-") as folder, ThreadPoolExecutor(hands) as pool:
            allowed, revoked = Path(folder, "allowed"), Path(folder, "revoked")
            allowed.write_text(allowed_signers, encoding="utf-8", newline="\n")
            revoked.write_bytes(b"")
            settings = (
                "gpg.format=ssh", f"gpg.ssh.program={program}", f"gpg.ssh.allowedSignersFile={allowed}",
                f"gpg.ssh.revocationFile={revoked}", "gpg.minTrustLevel=undefined",
            )  # fmt: skip
            told: dict[CommitId, Signature] = {}
            for found in pool.map(lambda some: self._told(some, settings), portions):
                told |= found
        if set(told) != set(ids):
            raise GitFailed("git did not answer for every signature")
        return told

    def _told(self, ids: Sequence[CommitId], settings: Sequence[str]) -> dict[CommitId, Signature]:
        ran = self.run(
            "log", "--no-walk=unsorted", "--stdin", "-z", "-s", "--no-color", "--no-decorate", "--no-notes",
            "--no-mailmap", "--no-show-signature", "--format=%H%x00%G?%x00%GS%x00%GF",
            stdin="".join(f"{id_}\n" for id_ in ids).encode(), settings=settings,
        )  # fmt: skip
        fields = iter(ran.out.decode(errors="replace").split("\0"))
        return {
            CommitId(id_): _signature(*rest)
            for id_, *rest in zip(fields, fields, fields, fields, strict=False)
        }


def _signed_with(data: bytes) -> SignatureStatus | None:
    """Say at once what a commit's signature is worth where it is no single SSH signature; else nothing."""
    signatures = [value for key, value in headers(data) if key.startswith(b"gpgsig")]
    if not signatures:
        return SignatureStatus.NONE
    if len(signatures) > 1 or not signatures[0].startswith(_SSH_SIGNATURE):
        return SignatureStatus.BAD
    return None


def _signature(status: str, principal: str, fingerprint: str) -> Signature:
    judged = _STATUS.get(status, SignatureStatus.BAD)
    good = judged is SignatureStatus.GOOD
    if good and not principal:
        judged, good = SignatureStatus.UNKNOWN_KEY, False
    return Signature(status=judged, principal=principal if good else None, fingerprint=fingerprint or None)
