"""`python -m gitrelease`, the same as `gitrelease`."""

from gitrelease.cli import main

if __name__ == "__main__":
    main()
