"""The table of pairs: each verdict is right, whichever side is the answer."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from alive.verify import matches

TABLE = Path(__file__).parent / "pairs.tsv"


def rows() -> list[list[str]]:
    with TABLE.open(encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]


@pytest.mark.parametrize(("kind", "verdict", "first", "second"), rows())
def test_a_pair_gets_its_verdict_both_ways_round(
    kind: str, verdict: str, first: str, second: str
) -> None:
    assert matches(first, second) == (verdict == "same"), kind
    assert matches(second, first) == (verdict == "same"), kind


def test_the_table_holds_both_verdicts_of_every_kind_and_no_pair_twice() -> None:
    kinds = Counter((kind, verdict) for kind, verdict, _, _ in rows())
    assert {verdict for _, verdict in kinds} == {"same", "different"}
    assert all(kinds[kind, "same"] and kinds[kind, "different"] for kind, _ in kinds)
    pairs = Counter(frozenset((first, second)) for _, _, first, second in rows())
    assert not [pair for pair, count in pairs.items() if count > 1 and len(pair) > 1]
    assert sum(kinds.values()) >= 300
