"""One answer of GitHub as it came: whether it is one, when it wants to be asked again, where a list goes on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, urlsplit

from gitrelease.core.values import frozen
from gitrelease.forges.github.refusals import Unreadable
from gitrelease.forges.github.values import rows, text
from gitrelease.repo import plain

_SECONDARY = (
    "secondary rate limit",
    "abuse detection",
    "retry your request again later",
    "wait a few minutes",
)
_LIMITED = frozenset({"RATE_LIMITED", "RATE_LIMIT"})


@frozen
class Told:
    """One answer as it came; names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: object
    is_json: bool

    @property
    def is_success(self) -> bool:
        """Whether what was asked for was done."""
        return 200 <= self.status < 300

    @property
    def is_readable(self) -> bool:
        """Whether there is an answer in it, or is to be none."""
        return self.is_json or self.status == 204

    def server_time(self, ours: datetime) -> datetime:
        """Say what time it is on the server, whose times the limits are in; the clock here may be wrong."""
        try:
            return parsedate_to_datetime(self.headers["date"])
        except (KeyError, ValueError, TypeError):
            return ours


def limited_until(told: Told, now: datetime) -> datetime | None:
    """Say until when GitHub wants no more requests; None if it does not mind (pitfall P36)."""
    kinds = {text(error, "type") for error in rows(told.body, "errors")}
    said = text(told.body, "message").casefold()
    is_secondary = any(words in said for words in _SECONDARY)
    is_primary = told.headers.get("x-ratelimit-remaining") == "0" or "api rate limit exceeded" in said
    after = told.headers.get("retry-after", "")
    is_refused = told.status == 403 and (is_secondary or is_primary or bool(after))
    if not is_refused and told.status != 429 and not kinds & _LIMITED:
        return None
    if after.isdigit():
        return now + timedelta(seconds=int(after))
    reset = told.headers.get("x-ratelimit-reset", "")
    if reset.isdigit() and not is_secondary:
        return datetime.fromtimestamp(int(reset), UTC)
    # Without a word from GitHub its documentation asks for a minute.
    return now + timedelta(seconds=60)


def next_page(
    told: Told, path: str, asked: Mapping[str, str | int], *, api_url: str
) -> dict[str, str | int] | None:
    """Give the questions of the page that follows; None after the last.

    Only the questions of the link are taken, never its address. One that is elsewhere all the same is refused.
    """
    for part in told.headers.get("link", "").split(","):
        link, _, rel = part.strip().partition(">")
        if 'rel="next"' not in rel.replace(" ", ""):
            continue
        there, here = urlsplit(link.removeprefix("<")), urlsplit(api_url)
        # It names repositories, organizations and teams by number, so only its end can be compared.
        is_same_list = there.path.rpartition("/")[2] == path.rpartition("/")[2]
        if (there.scheme, there.netloc) != (here.scheme, here.netloc) or not is_same_list:
            raise Unreadable(f"the next page of {path} is said to be elsewhere: {plain(there.netloc)}")
        before = {name: str(value) for name, value in asked.items()}
        following = {**before, **dict(parse_qsl(there.query))}
        if following == before:
            raise Unreadable(f"the next page of {path} is said to be the same page")
        return {**following}
    return None
