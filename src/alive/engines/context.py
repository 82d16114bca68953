"""Whether the longest prompts that settings allow have room in a model's context."""

from __future__ import annotations

from dataclasses import dataclass

from alive.arms import reviews
from alive.config import Config
from alive.engines.models import load_tokenizer, read_config
from alive.engines.refusals import max_positions
from alive.engines.shape import KNOWN
from alive.errors import ConfigError
from alive.feedback import positive_condition
from alive.prompts import Renderer, make_renderer
from alive.types import MASK

__all__ = ["Need", "check_context", "longest", "room"]


@dataclass(frozen=True, slots=True)
class Need:
    """The longest sequence of one role.

    Attributes:
        role: What is written.
        template: Tokens of its prompt that are ours, whatever fills it.
        filled: Tokens that fill the prompt, at most.
        written: Tokens of the completion, at most.
        settings: What decides the two.
    """

    role: str
    template: int
    filled: int
    written: int
    settings: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """Tokens of prompt and completion."""
        return self.template + self.filled + self.written


def check_context(config: Config) -> None:
    """Refuses settings under which a prompt and its completion may outgrow the model's context.

    Raises:
        ConfigError: Says what is needed, what there is, and which settings to lower.
        ModelError: The model's configuration or tokenizer cannot be read.
    """
    name = config.model.id
    positions = room(name)
    if positions is None:
        return
    need = longest(make_renderer(load_tokenizer(name), config.model.prompts), config)
    if need.tokens <= positions:
        return
    sizes = (
        f"{name} has room for {positions} tokens, and a {need.role} needs up to {need.tokens}: "
        f"{need.template} of its template, {need.filled} that fill it and {need.written} written"
    )
    if need.template >= positions:
        raise ConfigError(f"{sizes}; choose a model with a longer context, or shorter prompts")
    raise ConfigError(f"{sizes}; lower {' or '.join(need.settings)}")


def room(name: str) -> int | None:
    """Returns how many tokens a model's context has; None where it sets no end.

    The models that presets name are known to have room, and are not read for this.

    Raises:
        ModelError: The model's configuration cannot be read.
    """
    return None if name in KNOWN else max_positions(read_config(name))


def longest(renderer: Renderer, config: Config) -> Need:
    """The longest sequence that a run's settings allow, text counted as it was first written."""
    sampling, chunk, words = config.sampling, config.corpus.chunk_tokens, renderer.words
    limits = {
        "corpus.chunk_tokens": chunk,
        "sampling.pose_tokens": sampling.pose_tokens,
        "sampling.solve_tokens": sampling.solve_tokens,
        "sampling.review_tokens": sampling.review_tokens,
    }
    passage, posed, solved, reviewed = limits

    def need(role: str, template: int, fills: tuple[str, ...], written: str) -> Need:
        settings = tuple(f"{key} ({limits[key]})" for key in limits if key in (*fills, written))
        filled = sum(limits[key] for key in fills)
        return Need(role, template, filled, limits[written], settings)

    pose = renderer.pose("", positive_condition("pose", words))
    solve = renderer.solve(MASK, positive_condition("solve", words))
    needs = [
        need("proposal", len(pose.ids), (passage,), posed),
        need("solution", len(solve.ids), (passage,), solved),
    ]
    if reviews(config):
        judge = max(len(renderer.review("", "", span, True).ids) for span in (None, ""))
        needs.append(need("review", judge, (passage, solved), reviewed))
        if config.game.revisions_per_mask:
            revise = renderer.revise("", "", "")
            seen = (solved,) if renderer.templates.shows("revise", "attempt") else ()
            needs.append(need("revision", len(revise.ids), (passage, *seen, reviewed), solved))
    if config.shows_text:
        informed = renderer.inform(MASK, "")
        role = "solution with the text in view"
        needs.append(need(role, len(informed.ids), (passage, passage), solved))
    return max(needs, key=lambda one: one.tokens)
