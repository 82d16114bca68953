"""A second world behind the four doors: doubled numbers."""

from __future__ import annotations

from pathlib import Path

from alive.doors import Corpus, PromptSet, Question, Suite, Text, World, WorldModel
from alive.types import Attempt, Framing, Task
from alive.words import Words

MARKER = "<|twice|>"
_TEMPLATES = {
    "pose": "$condition$document pick:",
    "solve": f"$condition{MARKER} $passage answer:",
    "review": "$passage so: $attempt judge:",
    "review_privileged": "$passage so: $attempt is $outcome, for $span judge:",
    "revise": "$passage so: $attempt but: $review again:",
}


def texts() -> list[Text]:
    return [
        Text(str(n), f"In box {n} lie {n} red pens\n\nand twice as many blue, {2 * n}", "boxes")
        for n in range(11, 41)
    ]


def questions() -> list[Question]:
    return [Question(f"Twice {n} is", str(2 * n), "boxes") for n in range(50, 54)]


def teach(task: Task, attempt: Attempt, words: Words) -> str:
    verdict = "right" if attempt.correct else "wrong"
    return f"Step 1 doubles.\nSummary: doubled {verdict}ly\nVerdict: {verdict}\nScore: 5"


def make_world(folder: Path) -> World:
    """The world, its prompts written into a folder and its model expected in another."""
    prompts = folder / "prompts"
    prompts.mkdir()
    for role, text in _TEMPLATES.items():
        (prompts / f"{role}.txt").write_text(text)
    words = {name: name.replace("_", " ") for name in Words.__dataclass_fields__}
    lines = [f'{name} = "{word}"' for name, word in words.items()]
    head = ['version = "twos-1"', 'style = "raw"', 'condition = "$words: "', "[words]"]
    (prompts / "words.toml").write_text("\n".join([*head, *lines]))
    return World(
        name="twos",
        corpora={"twos": Corpus(texts, Framing("paragraph", most_type_share=1.0))},
        suites={"twos": Suite(questions, ("boxes",))},
        teacher=teach,
        prompts=PromptSet("twos", prompts, MARKER),
        model=WorldModel("two", folder / "model", "nothing", "It can double, and no more."),
    )
