"""Read the price lists of the suppliers and write one row for each product."""

import csv
import os
import sys
from decimal import Decimal
from pathlib import Path


def prices(folder: Path, day: str) -> dict[str, Decimal]:
    """Give the lowest price of each product; a supplier who sent nothing counts for nothing."""
    lowest: dict[str, Decimal] = {}
    for path in sorted(folder.glob(f"*_{day}.csv")):
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                price = Decimal(row["price"])
                lowest[row["sku"]] = min(price, lowest.get(row["sku"], price))
    return lowest


def main() -> None:
    day, currency = [*sys.argv[1:], "today", "EUR"][:2]
    folder = Path(os.environ.get("PRICE_LISTS", "price-lists"))
    found = prices(folder, day)
    print(f"{len(found)} prices in {currency} for {day}")


if __name__ == "__main__":
    main()
