"""Count the visits of one day in the access logs: one line is one page view, one address one visitor."""

import os
import sys
from pathlib import Path


def main() -> None:
    day = sys.argv[1] if len(sys.argv) > 1 else "today"
    folder = Path(os.environ.get("ACCESS_LOGS", "access-logs"))
    views = 0
    visitors: set[str] = set()
    for path in sorted(folder.glob(f"*{day}*.log")):
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                views += 1
                visitors.add(line.partition(" ")[0])
    print(f"{day}: {views} page views by {len(visitors)} visitors")


if __name__ == "__main__":
    main()
