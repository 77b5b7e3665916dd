"""Two versions of the package side by side: a training step and an evaluation, in turns.

    python bench/before_after.py OLD/.venv/bin/pkef-fast NEW/.venv/bin/pkef-fast \\
        --dataset taobao --data-dir DATA --threads 2 --pairs 5

Each of the two runs `pkef-fast bench` by turns, so that whatever else the machine does meets both
alike; the ratio is taken pair by pair, and its median is the figure. Prints Markdown.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import statistics
import subprocess

ROWS = ("a step", "an evaluation")


def timed(command: str, words: list[str]) -> dict[str, float]:
    """Milliseconds of ROWS by one run of a version's `bench`."""
    done = subprocess.run([command, "bench", "--json", *words], check=True, capture_output=True)
    rows = json.loads(done.stdout.splitlines()[-1])["rows"]
    return {row["what"]: 1000 * row["seconds"] for row in rows if row["what"] in ROWS}


def main() -> None:
    """Run the pairs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", help="command of the older version")
    parser.add_argument("after", help="command of the newer one")
    parser.add_argument("--pairs", type=int, default=5)
    options, words = parser.parse_known_args()
    found = []
    for number in range(options.pairs):
        order = [options.before, options.after][:: 1 if number % 2 == 0 else -1]
        times = {command: timed(command, words) for command in order}
        found.append((times[options.before], times[options.after]))
    print(f"{datetime.date.today()}, {platform.processor() or platform.machine()}, {options.pairs}")
    print(f"pairs, `bench {' '.join(words)}`\n")
    print("| | before, ms | after, ms | after / before (least – most) |\n|---|---|---|---|")
    for what in ROWS:
        before, after = ([one[i][what] for one in found] for i in (0, 1))
        ratios = [b / a for a, b in zip(before, after, strict=True)]
        print(
            f"| {what} | {statistics.median(before):.1f} | {statistics.median(after):.1f} | "
            f"{statistics.median(ratios):.3f} ({min(ratios):.3f} – {max(ratios):.3f}) |"
        )


if __name__ == "__main__":
    main()
