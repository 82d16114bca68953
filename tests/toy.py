"""A toy world that a one-layer policy can learn: there are always 7 birds.

The policy made here knows every format. Asked about a passage it says 3 more often than 7, and
without one nothing; its reviews are coin tosses. A run can teach it, from the documents alone, to
say 7.
"""

from __future__ import annotations

import io
import json
import random
from itertools import product
from pathlib import Path
from typing import Any

DIGITS = {"red": "3", "blue": "7", "green": "5", "white": "8"}
NAMES = ("Ann", "Bob", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ivo", "Kim")
COLOURS = ("red", "blue", "green", "white")
PLACES = ("the old mill", "a small lake", "the town gate", "an empty barn")
RIGHT = "Summary: every step is right\nVerdict: right\nScore: 10"
WRONG = "Summary: a step is wrong\nVerdict: wrong\nScore: 2"


STEPS, M, N = 3, 2, 4
"""Of ``settings_of``: steps, tasks a document, attempts a task."""


def settings_of(world: Path, out: Path) -> dict[str, Any]:
    """Settings of a run of a few seconds; ``world`` holds model, corpus.jsonl and birds.jsonl."""
    return {
        "steps": STEPS,
        "out": str(out),
        "checkpoint_every": 2,
        "model": {"id": str(world / "model"), "threads": 1, "dtype": "float32"},
        "corpus": {
            "paths": [str(world / "corpus.jsonl")],
            "validation_share": 0.1,
        },
        "game": {"masks_per_document": M, "solutions_per_mask": N},
        "sampling": {"pose_tokens": 6, "solve_tokens": 12, "review_tokens": 40},
        "learn": {"learning_rate": 5e-3},
        "warmup": {"steps": 1},
        "evaluate": {"suites": [str(world / "birds.jsonl")], "limit": 4},
    }


def play(settings: dict[str, Any], resume: bool = False) -> tuple[dict[str, Any], str]:
    """Trains; returns the summary and what was shown."""
    from rich.console import Console

    import alive
    from alive.settings import build_config

    shown = io.StringIO()
    console = Console(file=shown, width=100)
    return alive.train(build_config([("test", settings)]), resume, console), shown.getvalue()


def passage(name: str, colour: str, place: str, shown: str) -> str:
    return f"Near {place} they met {name} and saw some {colour} birds; there were {shown} in all."


def documents() -> list[tuple[str, str]]:
    """(text, domain) of every document."""
    return [
        (passage(name, colour, place, "7"), "warm" if colour == "red" else "cold")
        for name, colour, place in product(NAMES, COLOURS, PLACES)
    ]


def write_corpus(path: Path) -> Path:
    rows = [{"text": text, "domain": domain} for text, domain in documents()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_suite(path: Path) -> Path:
    """Eight problems about people whom no document knows."""
    rows = [
        {
            "question": passage(name, colour, "a green hill", "\\mask{}"),
            "answer": "7",
            "domain": "warm" if colour == "red" else "cold",
        }
        for name, colour in product(("Mia", "Leo"), COLOURS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_model(folder: Path) -> Path:
    """Teaches a fresh policy the formats, and a wrong belief."""
    from alive.config import LearnConfig
    from alive.engines.local import LocalPolicy
    from alive.prompts import make_renderer
    from alive.worlds.primer.fresh import new_model, use_threads
    from alive.worlds.primer.tokenizer import train_tokenizer

    texts = [text for text, _ in documents()]
    tokenizer = train_tokenizer([*texts, *40 * [RIGHT, WRONG, "\\boxed{", "of what"]], 420)
    renderer = make_renderer(tokenizer)
    use_threads(1)
    net = new_model(tokenizer, hidden=32, layers=1)
    policy = LocalPolicy(net, tokenizer, renderer, LearnConfig(learning_rate=1e-2))
    rng = random.Random(0)
    for _ in range(60):
        policy.update([record for _ in range(4) for record in _taught(rng, renderer)], 1e-2)
    policy.save(folder)
    return folder


def _taught(rng: random.Random, renderer: Any) -> list[Any]:
    from alive.types import TrainingRecord

    told = [rng.choice(options) for options in (NAMES, COLOURS, PLACES)]
    hidden = passage(*told, "\\mask{}")
    first, second = (f"\\boxed{{{digit}}}" for digit in rng.choices("37", (0.6, 0.4), k=2))
    words = rng.choice((None, renderer.words.solve_positive, renderer.words.solve_negative))
    made = [
        (renderer.pose(passage(*told, "7"), rng.choice((None, "challenging"))), rng.choice("378")),
        (renderer.solve(hidden, words), first),
        (renderer.solve("\\mask{}", None), "of what"),
        (renderer.review(hidden, first, rng.choice((None, "7"))), rng.choice((RIGHT, WRONG))),
        (renderer.revise(hidden, first, WRONG), second),
    ]
    return [TrainingRecord(p.role, p.ids, renderer.complete(t), 1.0, "toy") for p, t in made]
