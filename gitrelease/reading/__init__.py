"""Core values, read from the shared repository as of any commit."""
