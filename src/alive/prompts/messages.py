"""The prompts of the game as chat messages, for whoever frames them by a template of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from alive.errors import ConfigError
from alive.prompts.render import Renderer
from alive.prompts.templates import load_templates
from alive.types import Prompt, Role

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["MessagePrompt", "MessageRenderer"]


@dataclass(frozen=True, slots=True)
class MessagePrompt(Prompt):
    """A prompt that is known as chat messages too.

    Attributes:
        messages: What user and model said, each with ``role`` and ``content``; the last is the
            user's.
    """

    messages: tuple[Mapping[str, str], ...] = ()


class MessageRenderer(Renderer):
    """Renders every prompt of the game for a chat model behind an endpoint.

    Its token ids are those of the model's own chat template; the endpoint may frame the messages
    otherwise. Token strings of the tokenizer are broken in what is untrusted, as in any prompt.

    Raises:
        ConfigError: The tokenizer has no chat template.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, prompts_folder: str | Path = "") -> None:
        """Loads the ``chat`` set, with a user's files on top."""
        if not tokenizer.chat_template:
            raise ConfigError(
                "the tokenizer has no chat template, and an endpoint for chats is asked in "
                "messages; name an instruction-tuned model"
            )
        super().__init__(tokenizer, load_templates("chat", prompts_folder))

    def _prompt(self, role: Role, template: str, condition: str | None, **slots: str) -> Prompt:
        prompt = super()._prompt(role, template, condition, **slots)
        if condition is not None:
            slots["words"] = self._words(condition)
        messages = self.templates.filled(template, slots, conditioned=condition is not None)
        known = {field.name: getattr(prompt, field.name) for field in fields(prompt)}
        return MessagePrompt(**known, messages=tuple(messages))
