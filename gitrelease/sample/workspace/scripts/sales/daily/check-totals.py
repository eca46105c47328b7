"""Refuse a day whose regions do not add up to its total."""

import csv
import os
import sys
from decimal import Decimal
from pathlib import Path


def main() -> None:
    day = sys.argv[1] if len(sys.argv) > 1 else "today"
    path = Path(os.environ.get("REVENUE_EXPORT", "revenue.csv"))
    if not path.exists():
        print(f"no export of revenue on this host: nothing to check for {day}")
        return
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["biz_date"] == day]
    regions = sum((Decimal(row["revenue"]) for row in rows if row["region"] != "all"), Decimal(0))
    total = sum((Decimal(row["revenue"]) for row in rows if row["region"] == "all"), Decimal(0))
    if regions != total:
        sys.exit(f"{day}: the regions add up to {regions}, the total is {total}")
    print(f"{day}: {total} in {len(rows)} rows")


if __name__ == "__main__":
    main()
