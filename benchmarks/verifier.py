r"""Errors of the verifier, beside those of math-verify alone.

    python benchmarks/verifier.py
    python benchmarks/verifier.py --show number text
    python benchmarks/verifier.py gsm8k/test.jsonl math500/test.jsonl --limit 500

Without files it counts on the pairs of tests/verify/pairs.tsv, by kind. A file is JSON lines with
an "answer": a worked solution that ends in "#### X" or holds "\boxed{X}", or the answer itself.
Each of its answers is compared with itself, with other spellings of itself (these are right), and
with changed values and three other answers of the file (these are wrong).

A false reject is a right answer that is called wrong, a false accept a wrong one that is called
right. The first side is the answer. math-verify is asked as its own page does it: both sides
between dollar signs, its default settings. The last lines say how many pairs a second we compare.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from math_verify import parse, verify

from alive.equivalence import given_up
from alive.verify import final_answer, matches

TABLE = Path(__file__).parents[1] / "tests" / "verify" / "pairs.tsv"


class Pair(NamedTuple):
    """An answer, what it is compared with, and the right verdict."""

    kind: str
    same: bool
    answer: str
    target: str


def main() -> None:
    """Reads the options, counts and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, help="evaluation data, JSON lines")
    parser.add_argument("--limit", type=int, help="answers of a file; default: all")
    parser.add_argument("--seed", type=int, default=0, help="of the changed and other answers")
    parser.add_argument("--show", nargs="*", metavar="KIND", help="print the errors (of a kind)")
    options = parser.parse_args()
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns of what it cannot read
    if not options.files:
        count("pairs", table(), options.show)
    for path in options.files:
        count(str(path), list(variants(answers(path, options.limit), options.seed)), options.show)
    print("\ncompared per second, in this process:")
    for name, pairs in SPEED.items():
        print(f"  {name:<34}{rate(pairs):>12,.0f}")


def table() -> list[Pair]:
    """Returns the table of the tests."""
    with TABLE.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    return [Pair(kind, verdict == "same", first, second) for kind, verdict, first, second in rows]


def answers(path: Path, limit: int | None) -> list[str]:
    """Returns the final answers of a file."""
    with path.open(encoding="utf-8") as lines:
        found = [final_answer(str(json.loads(line)["answer"])) for line in lines if line.strip()]
    return found[:limit]


def variants(golds: list[str], seed: int) -> Iterator[Pair]:
    """Yields every gold answer beside right and wrong ones."""
    draw = random.Random(seed)
    for gold in golds:
        yield Pair("itself", True, gold, gold)
        for spelling in dict.fromkeys(respelled(gold)):
            yield Pair("respelled", True, spelling, gold)
        for changed in dict.fromkeys(perturbed(gold, draw)):
            if changed != gold:
                yield Pair("changed", False, changed, gold)
        for other in draw.sample(golds, min(3, len(golds))):
            if value_of(other) != value_of(gold):
                yield Pair("another's", False, other, gold)


def respelled(gold: str) -> Iterator[str]:
    """Yields other ways to write an answer that mean the same."""
    yield from (f"${gold}$", f" {gold}.", f"\\({gold}\\)", f"\\boxed{{{gold}}}")
    if re.fullmatch(r"-?(?:\d+|\d{1,3}(?:,\d{3})+)", gold):
        plain = gold.replace(",", "")
        number = int(plain)
        yield from (plain, f"{number:,}", f"{number}.0", f"{number} apples", f"x = {number}")
        yield from (f"{number:,}".replace(",", "\\,"), f"{number:,}".replace(",", "{,}"))
        yield from (
            f"\\text{{{number}}}",
            f"{number}\\text{{ dollars}}",
            f"\\frac{{{2 * number}}}{{2}}",
        )
        if number >= 0:
            yield from (f"\\${number:,}", f"${number}.00")
    if "\\frac" in gold:
        yield from (gold.replace("\\frac", "\\dfrac"), gold.replace("\\frac", "\\tfrac"))
    if "\\pi" in gold:
        yield gold.replace("\\pi", "π")
    if "\\sqrt" in gold:
        yield re.sub(r"\\sqrt\{?(\d+)\}?", r"√\1", gold)
    if gold.startswith(("(", "\\left(")) and "\\text" not in gold:
        yield gold.replace("\\left", "").replace("\\right", "").replace(" ", "")
    if found := re.fullmatch(r"(.+)\^\\circ", gold):
        yield from (found[1], f"{found[1]}°", f"{found[1]} degrees")
    if found := re.fullmatch(r"\\text\{(\(?\w+\)?)\}", gold):
        yield from (found[1], found[1].upper(), found[1].strip("()"))


def perturbed(gold: str, draw: random.Random) -> Iterator[str]:
    """Yields answers of another value: a digit changed, a sign, a fraction upside down."""
    digits = [place.start() for place in re.finditer(r"\d", gold)]
    for place in draw.sample(digits, min(2, len(digits))):
        yield f"{gold[:place]}{(int(gold[place]) + 1) % 10}{gold[place + 1 :]}"
    if re.fullmatch(r"[\d,.]*[1-9][\d,.]*", gold):
        yield from (f"-{gold}", f"1{gold}", f"{gold} x")
    found = re.fullmatch(r"(-?)\\frac\{(\d+)\}\{(\d+)\}", gold)
    if found and found[2] != found[3]:
        yield f"{found[1]}\\frac{{{found[3]}}}{{{found[2]}}}"
    if found := re.fullmatch(r"(.*[\w}]) \+ ([\w\\].*)", gold):
        yield f"{found[1]} - {found[2]}"


def value_of(answer: str) -> str:
    """Returns a spelling by which two answers of a file are told apart."""
    plain = re.sub(r"\\(?:left|right|!|text|mbox|d?frac)|[\s${}(),]|\.0+$|\\circ|\^", "", answer)
    return plain.casefold()


def alone(answer: str, target: str) -> bool:
    """Asks math-verify, without any of ours around it."""
    return bool(verify(parse(f"${target}$"), parse(f"${answer}$")))


def count(name: str, pairs: list[Pair], show: list[str] | None) -> None:
    """Prints errors by kind, ours and math-verify's."""
    errors: dict[str, dict[tuple[str, bool], int]] = defaultdict(lambda: defaultdict(int))
    verifiers: dict[str, Callable[[str, str], bool]] = {"ours": matches, "alone": alone}
    for pair in pairs:
        for mine in (pair.kind, "all"):
            errors[mine]["pairs", pair.same] += 1
        for who, judge in verifiers.items():
            if judge(pair.answer, pair.target) == pair.same:
                continue
            for mine in (pair.kind, "all"):
                errors[mine][who, pair.same] += 1
            if show is not None and (not show or pair.kind in show):
                wrong = "rejects" if pair.same else "accepts"
                print(f"{who} {wrong}: {pair.answer!r} for {pair.target!r}")
    print(f"\n{name}: {len(pairs):,} pairs; {given_up()} comparisons given up\n")
    print("| kind | right | false rejects | math-verify | wrong | false accepts | math-verify |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for kind, found in [*((k, e) for k, e in errors.items() if k != "all"), ("all", errors["all"])]:
        row = [found[who, same] for same in (True, False) for who in ("pairs", *verifiers)]
        print(f"| {kind} | " + " | ".join(f"{number:,}" for number in row) + " |")


def letters(number: int) -> str:
    """Returns a name for a number."""
    return "".join("ABCDEFGHIJ"[int(digit)] for digit in str(number)) + "ville"


SPEED: dict[str, list[tuple[str, str]]] = {
    "the same text": [(str(i), str(i)) for i in range(2000)],
    "eight numbers to a target": [(str(i % 3 + i // 8), str(i // 8)) for i in range(2000)],
    "new amounts on both sides": [(f"${i:,}.50", f"{i}.5") for i in range(2000)],
    "new names on both sides": [
        (f"the tower of {letters(i)}", f"Tower of {letters(i + i % 2)}") for i in range(2000)
    ],
    "new formulas, in other spellings": [
        (f"\\dfrac{{{i}x}}{{3}}", f"\\frac{{{i} x}}3") for i in range(2000)
    ],
}


def rate(pairs: list[tuple[str, str]]) -> float:
    """Returns how many pairs a second are compared."""
    start = time.perf_counter()
    for answer, target in pairs:
        matches(answer, target)
    return len(pairs) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
