"""A model's own chat template, brought to say all that is asked, and the same tomorrow."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["DATE", "ChatTemplate"]

DATE = datetime(2026, 1, 1)
"""What a template that asks for today's date is told, so that prompts are the same every day."""

_DIRECTIVES = ("-d", "-m", "-H", "-I", "-M", "-S", *"aAbBcdeDfFGhHIjklmMpsSuUVwWxXyYzZ")

_THINKING = re.compile(
    r"<[\w:|-]*(?:think|thought|reason)[\w:|-]*>|\[\w*(?:think|thought|reason)\w*\]", re.IGNORECASE
)
"""What opens a part in which a model thinks: ``<think>``, ``<seed:think>``, ``[THINK]``, ..."""

_STARTS = re.compile(r"(?<![^\W_])(?:start|begin)(?![^\W_])", re.IGNORECASE)
_ENDS = re.compile(r"(?<![^\W_])end(?![^\W_])", re.IGNORECASE)
"""Words of tags that come in pairs: ``<|START_THINKING|>`` and ``<|END_THINKING|>``."""


class ChatTemplate:
    """Renders a few exchanges by the tokenizer's chat template.

    Attributes:
        date: The fixed date that the template was told; empty where it asks for none.
        closing: Ends the thinking that the template opens for the model; empty where it opens none.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, system: str) -> None:
        """Tries the template out.

        Args:
            tokenizer: One that has a chat template.
            system: The system message; empty: the model's own, or none.
        """
        self._tokenizer, self._system = tokenizer, system
        template = tokenizer.get_chat_template()
        self.date = f"{DATE:%Y-%m-%d}" if "strftime_now" in template else ""
        self._template = _dated(template) if self.date else template
        self._merges = bool(system) and not self._keeps_system()
        self.closing = _closing(self.render("aliveuserend").rpartition("aliveuserend")[2])

    def render(self, *said: str) -> str:
        """Renders what user and model say in turn, after the system message, as text.

        Behind a user's last message the model's reply begins.
        """
        first, *others = said
        system = [{"role": "system", "content": self._system}] if self._system else []
        if self._merges:
            # Some templates refuse or drop a system message; its text then opens the user's.
            system, first = [], f"{self._system}\n\n{first}"
        messages = system + [
            {"role": "assistant" if at % 2 else "user", "content": text}
            for at, text in enumerate((first, *others))
        ]
        return self._apply(messages, add_generation_prompt=len(said) % 2 == 1)

    def _keeps_system(self) -> bool:
        from jinja2 import TemplateError

        messages = [
            {"role": "system", "content": "alivesystemtext"},
            {"role": "user", "content": "question"},
        ]
        try:
            return "alivesystemtext" in self._apply(messages, add_generation_prompt=True)
        except TemplateError:
            return False

    def _apply(self, messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
        # Reasoning must stay in the attempt, where the reviewer can see it: thinking is off.
        options: dict[str, Any] = {"tokenize": False, "enable_thinking": False}
        text = self._tokenizer.apply_chat_template(
            messages,
            chat_template=self._template,
            add_generation_prompt=add_generation_prompt,
            **options,
        )
        return cast(str, text)


def _dated(template: str) -> str:
    """Puts a ``strftime_now`` of its own before a template, as it cannot be handed in."""
    filters = "".join(
        f"|replace({'%' + letter!r}, {DATE.strftime('%' + letter)!r})" for letter in _DIRECTIVES
    )
    macro = f"{{% macro strftime_now(format) %}}{{{{ format{filters} }}}}{{% endmacro %}}"
    # The line break is the block's own and is cut: the template begins a line as it did.
    return f"{macro}\n{template}"


def _closing(opening: str) -> str:
    """Returns what closes the thinking that the beginning of a reply leaves open."""
    tags = [(_closes(match), opening[match.end() :]) for match in _THINKING.finditer(opening)]
    closing = "".join(tag for tag, rest in reversed(tags) if tag not in rest)
    if not closing.startswith("</"):
        return closing
    return ("" if opening.endswith("\n") else "\n") + f"\n{closing}\n\n"


def _closes(match: re.Match[str]) -> str:
    """Returns the tag that closes a tag; empty where it closes another itself."""
    tag = match[0]
    if _ENDS.search(tag):
        return ""
    if _STARTS.search(tag):
        return _STARTS.sub(lambda word: "END" if word[0].isupper() else "end", tag)
    return re.sub(r"^(<\|?|\[)", r"\1/", tag)
