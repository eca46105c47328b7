"""A second client of GitHub, by hand: it sends what it is told and shows what came back."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True, kw_only=True)
class Got:
    """An answer. `body` is JSON where it is JSON, else text."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def links(self) -> dict[str, str]:
        """Read the links to other pages, by what they are."""
        parts = [part.split("; ") for part in self.headers.get("link", "").split(", ") if part]
        return {rel.removeprefix('rel="').removesuffix('"'): link.strip("<>") for link, rel in parts}


@dataclass(frozen=True)
class Client:
    """Speaks HTTP to one server with one token."""

    url: str
    token: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Got:
        """Send one request on a connection of its own; nothing is followed or repeated."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        try:
            data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
            connection.request(method, path.removeprefix(self.url), data, sent)
            answer = connection.getresponse()
            text = answer.read().decode()
            is_json = answer.headers.get("Content-Type", "").startswith("application/json") and text
            got = {name.lower(): value for name, value in answer.headers.items()}
            return Got(status=answer.status, headers=got, body=json.loads(text) if is_json else text)
        finally:
            connection.close()

    def get(self, path: str, /, **query: object) -> Got:
        """Read something."""
        return self.ask("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, /, **body: object) -> Got:
        """Make something."""
        return self.ask("POST", path, body)

    def put(self, path: str, /, **body: object) -> Got:
        """Put something in its place."""
        return self.ask("PUT", path, body)

    def patch(self, path: str, /, **body: object) -> Got:
        """Change something."""
        return self.ask("PATCH", path, body)

    def graphql(self, query: str, **variables: object) -> Got:
        """Ask a question in GraphQL."""
        return self.ask("POST", "/graphql", {"query": query, "variables": variables})
