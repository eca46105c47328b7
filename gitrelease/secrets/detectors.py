"""Detectors: what detect-secrets knows of the shapes of tokens, loaded when a file has something like it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

from gitrelease.core.values import frozen


class Detector(Protocol):
    """What is used of a detector of detect-secrets."""

    @property
    def secret_type(self) -> str:
        """What it finds, in words."""

    def analyze_string(self, string: str) -> Iterable[str]:
        """Give the secrets in a text."""


class Measure(Protocol):
    """What is used of a detector that measures how random a text is."""

    entropy_limit: float

    def calculate_shannon_entropy(self, data: str) -> float:
        """Say how random a text is, in bits for each character."""


@cache
def detector(plugin: str) -> Detector:
    """Load a detector, by its module and class."""
    made: Detector = _made(plugin)
    return made


@cache
def measure(plugin: str) -> Measure:
    """Load a detector that measures how random a text is, by its module and class."""
    made: Measure = _made(plugin)
    return made


def _made(plugin: str) -> Any:
    module, _, name = plugin.partition(".")
    with _without_the_web():
        found = import_module(f"detect_secrets.plugins.{module}")
    return getattr(found, name)()


class _Later(ModuleType):
    """Stands for a module that is loaded when something of it is used."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


@contextmanager
def _without_the_web() -> Iterator[None]:
    """Keep `requests` from being loaded with detect-secrets.

    Its detectors import it to try out on the network whether a key still works, which nothing here asks them
    for. It would be four fifths of what they take to load. Whoever else imports it gets the real one.
    """
    name = "requests"
    later = sys.modules.setdefault(name, _Later(name))
    try:
        yield
    finally:
        if isinstance(later, _Later) and sys.modules.get(name) is later:
            del sys.modules[name]


@frozen
class Shape:
    """A detector, and literal texts of which its pattern cannot match without one.

    They are what makes ordinary files cheap. A search for a literal costs a fraction of a pattern's, so the
    file as a whole is searched for them, and a detector sees only lines that hold one of its own. Nothing is
    missed: each alternative of each pattern contains one of these texts word for word, in any case of letters
    where the pattern ignores case. A test makes texts from the patterns and looks for the literals in them,
    so that an update of detect-secrets that breaks this is noticed.
    """

    plugin: str
    """The module and the class of the detector, among the plugins of detect-secrets."""
    exact: tuple[bytes, ...] = ()
    any_case: tuple[bytes, ...] = ()
    may_be_reference: bool = False
    """Whether a match can hold a reference; a token's shape leaves no room for one."""
    reach: int | None = None
    """How far around its text a match is looked for, where a longer line would cost too much."""

    @property
    def detector(self) -> Detector:
        """The detector itself."""
        return detector(self.plugin)

    def texts(self, piece: str) -> Iterator[str]:
        """Give what the detector has to see of a piece of a line."""
        if self.reach is None:
            yield piece
            return
        for literal in self.exact:
            at = piece.find(literal.decode())
            while at >= 0:
                yield piece[max(0, at - self.reach) : at + len(literal) + self.reach]
                at = piece.find(literal.decode(), at + len(literal))


SHAPES = (
    Shape(
        plugin="aws.AWSKeyDetector", exact=(b"A3T", b"ABIA", b"ACCA", b"AKIA", b"ASIA"), any_case=(b"aws",)
    ),
    Shape(plugin="azure_storage_key.AzureStorageKeyDetector", exact=(b"AccountKey=",)),
    Shape(plugin="basic_auth.BasicAuthDetector", exact=(b"://",), may_be_reference=True),
    Shape(plugin="github_token.GitHubTokenDetector", exact=(b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_")),
    Shape(
        plugin="gitlab_token.GitLabTokenDetector",
        exact=(
            *(b"glpat-", b"gldt-", b"glft-", b"glsoat-", b"glrt-", b"GR1348941"),
            *(b"glcbt-", b"glimt-", b"glptt-", b"glagent-", b"gloas-"),
        ),
    ),
    Shape(plugin="jwt.JwtTokenDetector", exact=(b"eyJ",)),
    Shape(plugin="mailchimp.MailchimpDetector", exact=(b"-us",)),
    Shape(plugin="openai.OpenAIDetector", exact=(b"T3BlbkFJ",), reach=256),
    Shape(plugin="private_key.PrivateKeyDetector", exact=(b" PRIVATE KEY", b"PuTTY-User-Key-File-2")),
    Shape(plugin="pypi_token.PypiTokenDetector", exact=(b"pypi-AgE",)),
    Shape(plugin="sendgrid.SendGridDetector", exact=(b"SG.",)),
    Shape(plugin="slack.SlackDetector", any_case=(b"xox", b"hooks.slack.com")),
    Shape(plugin="square_oauth.SquareOAuthDetector", exact=(b"sq0csp-",)),
    Shape(plugin="stripe.StripeDetector", exact=(b"k_live_",)),
    Shape(plugin="twilio.TwilioKeyDetector", exact=(b"AC", b"SK")),
)
