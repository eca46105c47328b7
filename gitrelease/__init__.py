"""gitrelease: the release desk of a data platform, on git."""

__version__ = "0.1.0"
