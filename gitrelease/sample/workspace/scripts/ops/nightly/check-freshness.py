"""Fail when the newest file in staging is older than it may be: then the loads stand still."""

import os
import sys
import time
from pathlib import Path


def main() -> None:
    days = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 7
    staging = Path(os.environ.get("STAGING", "staging"))
    newest = max((path.stat().st_mtime for path in staging.rglob("*") if path.is_file()), default=None)
    if newest is None:
        print("staging is empty: nothing can be lost")
        return
    age = (time.time() - newest) / 86400
    if age > days:
        sys.exit(f"the newest file in staging is {age:.0f} days old")
    print(f"the newest file in staging is {age:.1f} days old")


if __name__ == "__main__":
    main()
