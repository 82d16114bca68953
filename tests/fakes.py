"""Stand-ins for the policy and its tokenizer: a sampler that follows a script, and plain bytes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

from alive.protocols import Request
from alive.types import Prompt, Role, Rollout, StopReason

Script = Callable[[Prompt, str, int], str]
"""(prompt, its text, index in the group) -> completion."""


def encode(text: str) -> tuple[int, ...]:
    """One id a byte."""
    return tuple(text.encode())


def decode(ids: Sequence[int]) -> str:
    return bytes(ids).decode()


class Said:
    """Guesses that are there, for whoever awaits them, however often."""

    def __init__(self, *answers: str) -> None:
        self.answers = answers

    def __await__(self) -> Generator[None, None, tuple[str, ...]]:
        yield
        return self.answers


@dataclass
class ScriptedSampler:
    """Completes prompts by a script; remembers every request.

    Attributes:
        script: Writes the completions.
        read: Turns a prompt's ids into the text the script sees; bytes unless told otherwise.
        stops: Why a completion ended.
        calls: The requests, in order.
    """

    script: Script
    read: Callable[[Sequence[int]], str] = decode
    stops: Callable[[str], StopReason] = lambda _: "stop"
    calls: list[Request] = field(default_factory=list)

    @property
    def roles(self) -> list[Role]:
        """The roles asked for, in order."""
        return [request.prompt.role for request in self.calls]

    async def sample(self, request: Request) -> list[Rollout]:
        self.calls.append(request)
        return [self._rollout(request.prompt, index) for index in range(request.n)]

    def _rollout(self, prompt: Prompt, index: int) -> Rollout:
        text = self.script(prompt, self.read(prompt.ids), index)
        ids = encode(text)
        return Rollout(prompt, ids, (-1.0,) * len(ids), text, self.stops(text), 0)


class PlainRenderer:
    """Renders each role's parts one a line, as bytes: no tokenizer, no template.

    It stands for a world's, so that no attempt is asked for its answer.
    """

    templates = SimpleNamespace(world="plain bytes", said=frozenset())
    asks = False
    stop_ids = (0,)
    pad_id = 0

    def pose(self, document: str, condition: str | None) -> Prompt:
        return self._prompt("pose", condition, document)

    def solve(self, passage: str, condition: str | None) -> Prompt:
        return self._prompt("solve", condition, passage)

    def review(
        self, passage: str, attempt: str, span: str | None = None, correct: bool = False
    ) -> Prompt:
        told = "" if span is None else f"{span} {'right' if correct else 'wrong'}"
        return self._prompt("review", None, passage, attempt, told)

    def revise(self, passage: str, attempt: str, review: str) -> Prompt:
        return self._prompt("revise", None, passage, attempt, review)

    def complete(self, text: str) -> tuple[int, ...]:
        return (*encode(text), *self.stop_ids)

    def show(self, ids: Sequence[int]) -> str:
        return decode(ids)

    def _prompt(self, role: Role, condition: str | None, *parts: str) -> Prompt:
        return Prompt(role, encode("\n".join((role, *parts))), condition)
