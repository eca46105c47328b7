"""GitHub as a forge. `client` is the only door to it, `asking` reads, `saying` writes, `reporting` tells people."""

from gitrelease.forges.github.forge import GithubForge

__all__ = ["GithubForge"]
