"""List the days from the first to the last; refuse a range that is upside down or very long."""

import sys
from datetime import date, datetime, timedelta

LONGEST = 92


def day(text: str) -> date:
    return datetime.strptime(text, "%Y%m%d").date()


def main() -> None:
    first, last = map(day, [*sys.argv[1:], "20260101", "20260103"][:2])
    days = (last - first).days + 1
    if not 1 <= days <= LONGEST:
        sys.exit(f"from {first} to {last} are {days} days; 1 to {LONGEST} can be loaded at once")
    for n in range(days):
        print(f"{first + timedelta(days=n):%Y%m%d}")


if __name__ == "__main__":
    main()
