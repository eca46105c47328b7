"""Who asks: tokens as GitHub takes them, and the signatures of Apps."""

from __future__ import annotations

import base64
import binascii

import jwt

from tests.github.call import Caller
from tests.github.pulls import RefusedError
from tests.github.state import State, TokenKind

_LONGEST = 600
"""For how many seconds an App may sign at most."""


def token_in(header: str | None) -> str:
    """Take the token out of an Authorization header; empty when there is none."""
    word, _, value = (header or "").partition(" ")
    if word.casefold() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return "?"
    return value.strip()


def caller_of(state: State, value: str) -> Caller:
    """Say who asks with this token; a wrong one is refused, none at all is nobody."""
    if not value:
        return Caller()
    token = state.tokens.get(value)
    if token is not None and not token.revoked:
        return Caller(account=state.accounts[token.account], token=token)
    if value.count(".") == 2:
        return _signed(state, value)
    raise RefusedError(401, "Bad credentials")


def for_rest(caller: Caller) -> Caller:
    """Refuse what is good for git alone."""
    if caller.token is not None and caller.token.kind is TokenKind.DEPLOY_KEY:
        raise RefusedError(401, "Bad credentials")
    return caller


def _signed(state: State, value: str) -> Caller:
    try:
        claimed = jwt.decode(value, options={"verify_signature": False})
        app = next(it for it in state.apps.values() if str(it.id) == str(claimed.get("iss")))
    except (jwt.InvalidTokenError, StopIteration):
        raise RefusedError(401, "A JSON web token could not be decoded") from None
    try:
        claims = jwt.decode(
            value, app.public_key, algorithms=["RS256"], options={"require": ["exp", "iat"]}, leeway=5
        )
    except jwt.ExpiredSignatureError:
        raise RefusedError(
            401, "'Expiration time' claim ('exp') must be a numeric value in the future"
        ) from None
    except jwt.InvalidTokenError:
        raise RefusedError(401, "A JSON web token could not be decoded") from None
    if claims["exp"] - claims["iat"] > _LONGEST + 60:
        raise RefusedError(401, "'Expiration time' claim ('exp') is too far in the future")
    return Caller(app=app)
