"""Hostile input: a corpus that is kept, what is made of it, and who has to read it."""
