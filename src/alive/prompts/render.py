"""Turns templates and untrusted text into token ids: the only place that touches a tokenizer.

Template text is trusted and encoded once, special tokens recognised. What fills a placeholder is
encoded apart, as plain text, so that no special or control token can come from it, whatever it
says. The price is that tokens never merge across a placeholder's edge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

from alive.doors import prompt_sets
from alive.errors import ConfigError, ModelError
from alive.prompts.chat import ChatTemplate
from alive.prompts.neutral import ControlTokens, neutralise
from alive.prompts.segments import Segment, Slot, led, turns
from alive.prompts.templates import TemplateSet, load_templates
from alive.seeding import digest
from alive.types import MASK, Prompt, Role
from alive.words import Words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Renderer", "make_renderer"]

_Frame = tuple[tuple[int, ...] | Slot, ...]


def make_renderer(
    tokenizer: PreTrainedTokenizerBase,
    prompts_folder: str | Path = "",
    stop_ids: Sequence[int] = (),
) -> Renderer:
    """Returns the renderer for a model.

    Its prompt set is a world's where that world's own token exists, else ``chat`` where the
    tokenizer has a chat template, else ``plain``.

    Args:
        tokenizer: The model's.
        prompts_folder: Files that override those of the set; empty: none.
        stop_ids: Token ids that end a completion as well, as the model's own settings say.

    Raises:
        ConfigError: A user's prompt file is wrong (see ``load_templates``).
        ModelError: The tokenizer has no token that could end a completion.
    """
    tokens = tokenizer.get_added_vocab()
    own = (name for name, world in prompt_sets().items() if world.prompts.marker in tokens)
    general = "chat" if tokenizer.chat_template else "plain"
    return Renderer(tokenizer, load_templates(next(own, general), prompts_folder), stop_ids)


class Renderer:
    """Renders every prompt of the game for one tokenizer and one template set.

    Attributes:
        templates: The set in use.
        words: What conditions and critiques say.
        asks: Whether a question is asked as it is; else it is shown as a text that ends hidden.
        stop_ids: Token ids that end a completion; the first is the one we teach.
        pad_id: Token id for padding. May equal a stop id: mask by length, never by this id.
        vocabulary: Ids below this may be drawn; a model may have more rows, which mean nothing.

    Raises:
        ModelError: The tokenizer has no token that could end a completion.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        templates: TemplateSet,
        stop_ids: Sequence[int] = (),
    ) -> None:
        """Takes over a tokenizer; see ``make_renderer``."""
        self.templates = templates
        self.words: Words = templates.words
        self.asks = "question" in templates.templates
        self._tokenizer = tokenizer
        self._controls = ControlTokens(tokenizer.get_added_vocab())
        # A tokenizer without byte fallback writes an unknown character as its unk token.
        unknown = {tokenizer.unk_token_id} - {tokenizer.eos_token_id, tokenizer.bos_token_id}
        specials = {int(i) for i in tokenizer.all_special_ids}
        self._forbidden = (specials | self._controls.ids) - unknown
        self.vocabulary = 1 + max(tokenizer.get_vocab().values())
        chats = templates.style == "chat" and bool(tokenizer.chat_template)
        self._template = ChatTemplate(tokenizer, templates.system) if chats else None
        self.stop_ids = self._stop_ids(stop_ids)
        pad = tokenizer.pad_token_id
        self.pad_id = int(pad) if isinstance(pad, int) else self.stop_ids[0]
        self._frames: dict[tuple[str, bool], _Frame] = {}

    @property
    def identity(self) -> dict[str, str]:
        """Names what every prompt is made of, the chat template's frames included."""
        frames = [
            f"{name} {conditioned} {self._frame(name, conditioned)}"
            for name in sorted(self.templates.templates)
            for conditioned in (False, True)
        ]
        named = {"prompts": digest(self.templates.digest, *frames, str(self.stop_ids))}
        return named | (
            {"date": self._template.date} if self._template and self._template.date else {}
        )

    def pose(self, document: str, condition: str | None) -> Prompt:
        """Asks for one span of a document, under the condition's words where given."""
        return self._prompt("pose", "pose", condition, document=self._clean(document))

    def solve(self, passage: str, condition: str | None) -> Prompt:
        r"""Asks for the hidden text of a passage, in which only our own ``\mask{}`` stands.

        A passage without one is a question, and its answer is asked for.
        """
        template = "question" if self.asks and MASK not in passage else "solve"
        prompt = self._prompt("solve", template, condition, passage=self._passage(passage))
        return self._boxed(prompt)

    def review(
        self, passage: str, attempt: str, span: str | None = None, correct: bool = False
    ) -> Prompt:
        """Asks for a review of an attempt: privileged when the span is given, else blind.

        Who sees the hidden text is told as well whether the attempt matches it; comparing them is
        the verifier's work, finding out why is the reviewer's.
        """
        slots = {"passage": self._passage(passage), "attempt": self._clean(attempt)}
        if span is None:
            return self._prompt("review", "review", None, **slots)
        slots |= {"span": self._clean(span), "outcome": self.words.outcome(correct)}
        return self._prompt("review", "review_privileged", None, **slots)

    def revise(self, passage: str, attempt: str, review: str) -> Prompt:
        """Asks for a second attempt after a review; not every prompt shows the first one."""
        prompt = self._prompt(
            "revise",
            "revise",
            None,
            passage=self._passage(passage),
            attempt=self._clean(attempt),
            review=self._controls.neutralise(neutralise(review, keep_lines=True)),
        )
        return self._boxed(prompt)

    def inform(self, passage: str, document: str) -> Prompt:
        """Asks for what ``solve`` asks for, from who has the whole text in view.

        Raises:
            ConfigError: The prompt set has no such template.
        """
        if "inform" not in self.templates.templates:
            raise ConfigError(
                "the prompts of this model have no inform.txt, which shows it the text: neither "
                "learn.distil_from = 'text' nor arm star can be had"
            )
        slots = {"passage": self._passage(passage), "document": self._clean(document)}
        return self._boxed(self._prompt("solve", "inform", None, **slots))

    def hint(self, passage: str, span: str) -> Prompt:
        """Asks for a second attempt from who is told what is hidden, and nothing else of the text.

        Raises:
            ConfigError: The prompt set has no template that shows a text.
        """
        return replace(self.inform(passage, f"The answer is {span}."), role="revise")

    def complete(self, text: str) -> tuple[int, ...]:
        """Encodes a completion that no policy sampled, its end token included. Untrusted text."""
        return (*self._encode_untrusted(text), self.stop_ids[0])

    def decode(self, ids: Iterable[int]) -> str:
        """Decodes token ids without special tokens."""
        text = self._tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return cast(str, text)

    def lines(self, ids: Sequence[int], count: int) -> tuple[int, ...]:
        """Returns the beginning of a completion that holds its first ``count`` lines of text.

        The line break after the last of them is kept; empty where there are not as many.
        """
        low, high = 0, len(ids)
        while low < high:  # the number of lines a beginning holds never falls as it grows
            middle = (low + high) // 2
            text = self.decode(ids[:middle])
            if sum(bool(line.strip()) for line in text.split("\n")[:-1]) < count:
                low = middle + 1
            else:
                high = middle
        return tuple(ids[:low]) if count and low < len(ids) else ()

    def sound_lines(self, review: str) -> int:
        """Counts the first lines of a review that each find a step sound, where a world can."""
        world = self.templates.world
        return world.prompts.sound_lines(review) if world else 0

    def show(self, ids: Iterable[int]) -> str:
        """Decodes token ids with special tokens shown, for the record."""
        text = self._tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
        return cast(str, text)

    def encode(self, text: str) -> tuple[int, ...]:
        """Encodes untrusted text, by itself."""
        return tuple(self._encode_untrusted(text))

    def count_tokens(self, text: str) -> int:
        """Counts the tokens of untrusted text."""
        return len(self._encode_untrusted(text))

    def _prompt(self, role: Role, template: str, condition: str | None, **slots: str) -> Prompt:
        if condition is not None:
            slots["words"] = self._words(condition)
        key = (template, condition is not None)
        if key not in self._frames:
            self._frames[key] = self._frame(*key)
        ids = chain.from_iterable(
            self._encode_untrusted(part.lead + slots[part.name]) if isinstance(part, Slot) else part
            for part in self._frames[key]
        )
        stop = (self.templates.stop,) if self.templates.stop else ()
        return Prompt(role=role, ids=tuple(ids), condition=condition, stop=stop)

    def _boxed(self, prompt: Prompt) -> Prompt:
        # Who has to be told where to stop would also run on behind the answer.
        return replace(prompt, stops_at_box=bool(prompt.stop))

    def _words(self, condition: str) -> str:
        # Words are one line: a line break would let them open a section of their own.
        return self._clean(" ".join(condition.split()))

    def _clean(self, text: str) -> str:
        return self._controls.neutralise(neutralise(text))

    def _passage(self, passage: str) -> str:
        if not self.asks and MASK not in passage:
            passage = f"{passage} {MASK}"  # prompts that know no questions: its answer is hidden
        return self._controls.neutralise(self.templates.passage(passage))

    def _frame(self, name: str, conditioned: bool) -> _Frame:
        segments = self.templates.segments(name, conditioned=conditioned)
        if self._template:
            segments = self._chat(segments)
        lead = [] if self._template else self._opening()
        parts: list[tuple[int, ...] | Slot] = [tuple(lead)] if lead else []
        for segment in led(segments):
            parts.append(segment if isinstance(segment, Slot) else self._encode_trusted(segment))
        return tuple(parts)

    def _chat(self, segments: Sequence[Segment]) -> list[Segment]:
        """Frames a user's messages, and replies between them, by the model's chat template."""
        assert self._template is not None
        names = [s.name for s in segments if isinstance(s, Slot)]
        marks = {f"alive{i}slot{name}": Slot(name) for i, name in enumerate(names)}
        order = iter(marks)
        said = [
            "".join(next(order) if isinstance(s, Slot) else s for s in turn)
            for turn in turns(segments)
        ]
        text = self._template.render(*said) + self._template.closing
        pieces = re.split(f"({'|'.join(marks)})", text)
        if [piece for piece in pieces if piece in marks] != list(marks):
            raise ModelError("the model's chat template drops or repeats part of the user message")
        return [marks.get(piece, piece) for piece in pieces if piece]

    def _opening(self) -> list[int]:
        """Returns what the tokenizer puts before plain text: a bos token, or nothing."""
        bos = self._tokenizer.bos_token_id
        ids = self._tokenizer.encode("", add_special_tokens=True)
        return [bos] if ids and ids[0] == bos and isinstance(bos, int) else []

    def _stop_ids(self, further: Sequence[int]) -> tuple[int, ...]:
        tokenizer = self._tokenizer
        stops: list[int] = []
        if self.templates.end:
            end = tokenizer.get_added_vocab().get(self.templates.end)
            if end is None:
                raise ModelError(
                    f"the tokenizer has no token {self.templates.end!r}, which ends a completion "
                    f"in the prompt set {self.templates.version}"
                )
            stops.append(end)
        elif self._template:
            # A base model's eos may differ from the token that ends a turn in its chat template.
            tail = self._template.render("question", "alivereplyend").partition("alivereplyend")[2]
            stops += [i for i in self._encode_trusted(tail) if i in self._controls.ids][:1]
        if isinstance(tokenizer.eos_token_id, int):
            stops.append(tokenizer.eos_token_id)
        if not stops:
            raise ModelError("the tokenizer has no end token; set eos_token in its folder")
        stops += [token for token in further if token < self.vocabulary]
        return tuple(dict.fromkeys(stops))

    def _encode_trusted(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))

    def _encode_plain(self, text: str) -> list[int]:
        # verbose=False: a long document is counted and cut elsewhere, not warned about here.
        return list(
            self._tokenizer.encode(
                text, add_special_tokens=False, split_special_tokens=True, verbose=False
            )
        )

    def _encode_untrusted(self, text: str) -> list[int]:
        """Encodes text so that no special or control token can come of it."""
        # Lone surrogates are not text; a fast tokenizer would refuse the whole prompt for one.
        text = text.encode("utf-8", "replace").decode("utf-8")
        if not text:
            return []
        ids = self._encode_plain(text)
        if self._forbidden.isdisjoint(ids):
            return ids
        # Added tokens that are not special are matched even so: cut the text inside each of them.
        ids = list(chain.from_iterable(map(self._encode_plain, self._controls.cut(text))))
        # What is left could only come of a normaliser or a vocabulary entry; it is dropped.
        return [i for i in ids if i not in self._forbidden]
