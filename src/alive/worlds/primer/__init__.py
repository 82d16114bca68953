"""The embedded world: the primer corpus in three domains, and the seed model built from it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Literal

from alive.doors import Corpus, PromptSet, Question, Suite, Text, World, WorldModel
from alive.types import Framing
from alive.worlds.primer.critique import critique, sound_lines

__all__ = ["MODEL_FOLDER", "WORLD"]

_HOME = resources.files("alive.worlds.primer")
_DOMAINS = ("maths", "code", "logic")

MODEL_FOLDER = Path(str(_HOME / "model"))
"""Where the seed model is, and ``alive.worlds.primer.build`` writes it."""

FRAMING = Framing(
    context="paragraph",  # each problem of a document is a paragraph
    least_share_before=0.85,  # what a problem asks for stands at its end
    most_type_share=1.0,  # the documents hide numbers and little else
)


@cache
def _texts() -> tuple[Text, ...]:
    # A few megabytes that take seconds to make, and are read again every epoch.
    from alive.worlds.primer.primer import selfplay_documents

    return tuple(
        Text(str(index), text, domain) for index, (text, domain) in enumerate(selfplay_documents())
    )


def _of_domain(domain: str) -> Iterator[Text]:
    return (text for text in _texts() if text.domain == domain)


def _questions(split: Literal["test", "validation"]) -> Iterator[Question]:
    from alive.worlds.primer.primer import heldout_items

    return (Question(*item) for item in heldout_items(split))


WORLD = World(
    name="primer",
    corpora={
        "primer": Corpus(_texts, FRAMING),
        **{f"primer-{d}": Corpus(partial(_of_domain, d), FRAMING) for d in _DOMAINS},
    },
    suites={
        "seed": Suite(partial(_questions, "test"), _DOMAINS),
        "seed-validation": Suite(partial(_questions, "validation"), _DOMAINS),
    },
    teacher=critique,
    prompts=PromptSet("seed", _HOME / "prompts", "<|solve|>", sound_lines),
    model=WorldModel(
        name="seed",
        folder=MODEL_FOLDER,
        rebuilt_by="make seed",
        limits=(
            "The seed model knows nothing but the little world it was built on; of other text it "
            "can learn next to nothing. Take smollm2 or a model of yours."
        ),
        llama_cpp=False,
    ),
    preset=_HOME / "quickstart.toml",
)
