"""How much of what a first run takes: chosen from the text, the model and the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alive.config import Config
from alive.corpus.survey import Survey
from alive.settings import Layer, build_config, config_layers
from alive.setup.config_file import Choice
from alive.sizing import LARGE, usual_rate

if TYPE_CHECKING:
    from alive.engines.shape import ModelShape
    from alive.prompts import Renderer

__all__ = [
    "Choices",
    "as_config",
    "completions",
    "documents",
    "from_preset",
    "rate",
    "sizes_of_game",
    "value_of",
    "within_context",
]

_CHUNKS = (64, 128, 256, 512, 1024)

Choices = dict[str, Choice]
"""By ``section.key``, what is set and why."""


def as_config(choices: Choices) -> Config:
    """Returns the settings that choices build; every other has its default."""
    layers: list[Layer] = []
    for key, choice in choices.items():
        section, _, name = key.rpartition(".")
        leaf = {name: choice.value}
        layers.append(("alive init", {section: leaf} if section else leaf))
    return build_config(layers)


def value_of(config: Config, key: str) -> Any:
    """Returns a setting by its ``section.key``."""
    section, _, name = key.partition(".")
    return getattr(getattr(config, section), name)


def from_preset(name: str) -> Choices:
    """What a preset sets, but for model and corpus."""
    [(_, values)] = config_layers(name, (), ())
    choices: Choices = {}
    for key, value in values.items():
        leaves = value.items() if isinstance(value, dict) else [("", value)]
        for leaf, setting in leaves:
            choices[f"{key}.{leaf}" if leaf else key] = Choice(setting, f"as in the preset {name}.")
    return {
        key: choice for key, choice in choices.items() if key not in ("model.id", "corpus.paths")
    }


def documents(seen: Survey, on_gpu: bool) -> Choices:
    """How long documents may be, from how long the texts are and what the machine bears."""
    most = 1024 if on_gpu else 256
    longest = seen.quantile(0.9)
    wanted = next((size for size in _CHUNKS if size >= longest), _CHUNKS[-1])
    chosen = min(wanted, most)
    why = f"nine of ten texts have up to {longest:,} tokens"
    if not seen.cut:
        why += "; they stay whole, so this is for the plan alone."
    elif chosen < wanted:
        device = "GPU" if on_gpu else "CPU"
        why += f"; longer ones are cut, as a {device} bears no more."
    else:
        why += "."
    return {"corpus.chunk_tokens": Choice(chosen, why)}


def completions(chunk: int, seen: Survey, on_gpu: bool) -> Choices:
    """How long attempts and reviews may be, from how long the documents are."""
    longest = min(seen.quantile(0.9), chunk)
    usual = Config().sampling
    solve, review = usual.solve_tokens, usual.review_tokens
    why = f"documents of {longest:,} tokens, worked out in words; what ends sooner costs no more."
    if on_gpu and longest > solve:
        solve, review = 2 * solve, 2 * review
    return {
        "sampling.solve_tokens": Choice(solve, f"{why} If many attempts are cut, raise it."),
        "sampling.review_tokens": Choice(review, "half of an attempt; a review names one step."),
    }


def within_context(choices: Choices, renderer: Renderer, positions: int | None) -> Choices:
    """Shorter texts and completions, in proportion, where the context has no room for them."""
    from alive.engines.context import longest

    names = ("corpus.chunk_tokens", "sampling.solve_tokens", "sampling.review_tokens")
    shorter: Choices = {}
    while (
        positions and (need := longest(renderer, as_config(choices | shorter))).tokens > positions
    ):
        scale = max(0, positions - need.template) / (need.filled + need.written)
        config = as_config(choices | shorter)
        given = {name: value_of(config, name) for name in names}
        sizes = {name: max(8, int(scale * size) // 8 * 8) for name, size in given.items()}
        if sizes == given:
            break  # the run says what is missing
        why = f"all that the model's context of {positions:,} tokens leaves room for."
        shorter = {name: Choice(size, why) for name, size in sizes.items()}
    return shorter


def sizes_of_game(shape: ModelShape, on_gpu: bool) -> Choices:
    """How much is played and measured: as in the preset for such a machine."""
    none = Choice([], "name questions of yours: without any, nothing is measured before and after.")
    if not on_gpu and shape.parameters <= LARGE:
        return {
            "game.documents_per_step": Choice(1, "a small model on a CPU."),
            "game.masks_per_document": Choice(4, "a small model on a CPU."),
            "game.solutions_per_mask": Choice(8, "half the paper's, for a CPU."),
            "evaluate.suites": none,
            "evaluate.limit": Choice(60, "enough for a first look, in seconds."),
        }
    name = "qwen" if on_gpu else "laptop"
    sections = ("game.", "evaluate.")
    chosen = {key: one for key, one in from_preset(name).items() if key.startswith(sections)}
    return chosen | {"evaluate.suites": none}


def rate(shape: ModelShape, adapted: bool) -> Choice:
    """A usual rate. Inferred: it was measured for no model but the seed."""
    why = "adapters bear more than all weights" if adapted else "smaller for larger models"
    tail = "A usual rate, not measured for this model: try half and twice."
    return Choice(usual_rate(shape.parameters, adapted=adapted), f"{why}. {tail}")
