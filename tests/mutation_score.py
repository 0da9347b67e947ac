"""What share of mutants the tests find, by file; of the lines of ``mutmut results``.

Run by ``make mutants``. A mutant is one small change of the code. Tests that fail or
never end on it have found it; where all pass, nobody would notice such a mistake.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable

FOUND = {"killed", "timeout", "segfault"}


def main(lines: Iterable[str], least: float) -> int:
    """Print a table, the mutants that were not found, and the score of all."""
    counts: defaultdict[str, Counter[bool]] = defaultdict(Counter)
    missed, n_unchecked = [], 0
    for line in lines:
        mutant, _, status = line.strip().rpartition(": ")
        if status == "not checked":
            n_unchecked += 1
            continue
        module, _, _ = mutant.rpartition(".")
        counts[module][status in FOUND] += 1
        if status not in FOUND:
            missed.append(f"{mutant} ({status})")
    if missed:
        print(*missed, sep="\n")
        print("Each is shown by: .venv/bin/mutmut show NAME\n")
    if n_unchecked:
        print(f"{n_unchecked} mutants were left out of this run.")
    counts["all"] = sum(counts.values(), Counter())
    for module, found in counts.items():
        print(f"{module:30} {found[True]:5} of {found.total():5} {score(found):7.1%}")
    return int(score(counts["all"]) < least)


def score(found: Counter[bool]) -> float:
    """Found of all; no mutants at all are no success."""
    return found[True] / max(found.total(), 1)


if __name__ == "__main__":
    sys.exit(main(sys.stdin, least=float(sys.argv[1])))
