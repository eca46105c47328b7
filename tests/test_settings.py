"""Where GitHub is, and which repository there a remote is, from the environment that its runners have."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitrelease.settings import BadSetting, GithubSettings, gather

HERE = GithubSettings()
OURS = GithubSettings(server="https://git.example.org:8443", api="https://git.example.org:8443/api/v3")


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme/desk",
        "https://github.com/acme/desk.git",
        "https://github.com/acme/desk/",
        "https://somebody:secret@github.com/acme/desk.git",
        "git@github.com:acme/desk.git",
        "github.com:acme/desk",
        "ssh://git@github.com/acme/desk.git",
        "ssh://git@github.com:22/acme/desk.git",
        "https://GitHub.com/acme/desk.git",
    ],
)
def test_a_remote_on_github(url: str) -> None:
    assert HERE.repository(url) == "acme/desk"
    assert OURS.repository(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "/srv/github.com/acme/desk.git",
        "file:///github.com/acme/desk",
        "https://github.com.example.org/acme/desk",
        "https://example.org/github.com/acme/desk",
        "https://github.com@example.org/acme/desk",
        "https://github.com:8443/acme/desk",
        "https://github.com/acme",
        "https://github.com/acme/desk/more",
        "https://github.com/acme/../desk",
        "https://github.com/acme/..",
        "https://[github.com/acme/desk",
        "git@example.org:acme/desk",
        "ext::sh -c true",
        "-oProxyCommand=x:acme/desk",
        "",
    ],
)
def test_a_remote_elsewhere(url: str) -> None:
    assert HERE.repository(url) is None


def test_a_server_of_ones_own() -> None:
    assert OURS.repository("https://git.example.org:8443/acme/desk.git") == "acme/desk"
    assert OURS.repository("git@git.example.org:acme/desk.git") == "acme/desk"
    assert OURS.repository("https://git.example.org/acme/desk.git") is None


def test_what_a_runner_of_github_says_is_enough() -> None:
    known = gather({"GITHUB_SERVER_URL": "https://git.example.org/", "GITHUB_TOKEN": "t0ken"}).github
    assert (known.server, known.api, known.token) == (
        "https://git.example.org",
        "https://git.example.org/api/v3",
        "t0ken",
    )
    assert gather({}).github == HERE
    assert gather({"GITHUB_API_URL": "http://127.0.0.1:1/"}).github.api == "http://127.0.0.1:1"


def test_a_token_of_gitreleases_own_goes_before_others_and_is_never_shown() -> None:
    known = gather({"GH_TOKEN": "a", "GITHUB_TOKEN": "b", "GITRELEASE_GITHUB_TOKEN": "secret-c"})
    assert known.github.token == "secret-c"
    assert "secret-c" not in repr(known)
    app = gather({"GITRELEASE_GITHUB_APP_ID": "7", "GITRELEASE_GITHUB_APP_KEY": "/k.pem"}).github
    assert (app.app, app.key) == ("7", Path("/k.pem"))


@pytest.mark.parametrize("text", ["soon", "-1", "61", "nan", "inf"])
def test_a_pace_that_is_none(text: str) -> None:
    with pytest.raises(BadSetting, match="GITRELEASE_GITHUB_PACE"):
        gather({"GITRELEASE_GITHUB_PACE": text})
