"""The nouns and the rules of a release: no files, no git, no network, no clock."""
