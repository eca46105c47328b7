"""What tests are made of: a sealed git, people with clones and keys, a clock."""
