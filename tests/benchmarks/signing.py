"""Signatures by the thousand: a running ssh-agent signs in a fraction of the time that starting ssh-keygen takes."""

from __future__ import annotations

import os
import socket
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha512
from pathlib import Path
from textwrap import wrap
from time import sleep
from types import TracebackType
from typing import Self

_SIGN_REQUEST, _SIGN_RESPONSE = 13, 14


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


@dataclass
class Agent:
    """An agent that holds one key per person, for as long as the block lasts."""

    folder: Path
    keys: Mapping[str, Path]
    public: dict[str, bytes] = field(default_factory=dict)

    def __enter__(self) -> Self:
        where = self.folder / "agent"
        self._process = subprocess.Popen(
            ["ssh-agent", "-D", "-a", str(where)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while not where.exists():
            sleep(0.01)
        for who, key in self.keys.items():
            self.public[who] = b64decode(key.with_suffix(".pub").read_text(encoding="utf-8").split()[1])
            environ = {**os.environ, "SSH_AUTH_SOCK": str(where)}
            subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True, env=environ)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(where))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait()

    def sign(self, who: str, data: bytes) -> str:
        """Sign what git would have signed, in the armour that git puts into a commit."""
        key = self.public[who]
        about = _string(b"git") + _string(b"") + _string(b"sha512")
        signature = self._ask(key, b"SSHSIG" + about + _string(sha512(data).digest()))
        blob = b"SSHSIG" + (1).to_bytes(4, "big") + _string(key) + about + _string(signature)
        lines = wrap(b64encode(blob).decode(), 70)
        return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----"])

    def _ask(self, key: bytes, data: bytes) -> bytes:
        request = bytes([_SIGN_REQUEST]) + _string(key) + _string(data) + bytes(4)
        self._socket.sendall(_string(request))
        answer = self._read(int.from_bytes(self._read(4), "big"))
        if answer[0] != _SIGN_RESPONSE:
            raise RuntimeError("ssh-agent did not sign")
        return answer[5:]

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise RuntimeError("ssh-agent went away")
            data += part
        return data
