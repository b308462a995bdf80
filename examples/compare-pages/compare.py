"""Print what differs between a text given as argument and one given on standard input."""

import difflib
import sys

before, after = sys.argv[1].splitlines(), sys.stdin.read().splitlines()
lines = difflib.unified_diff(before, after, "before", "after", lineterm="")
print("\n".join(lines) or "The pages are equal.")  # noqa: T201 - its work
