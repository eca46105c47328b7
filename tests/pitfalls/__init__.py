"""What went wrong in tools of this kind, by number: one promise each, tried through the real thing."""
