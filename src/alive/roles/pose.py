"""The poser: chooses spans worth hiding, behind a hard gate of validity.

A proposal that fails the gate has utility zero, never a penalty (docs/algorithm.md). What the poser
leaves open after its resamples, and always a small share, is filled with random spans.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace

from alive.config import GameConfig
from alive.feedback import positive_condition
from alive.prompts import Renderer
from alive.protocols import Request, Sampler, SamplingParams
from alive.roles.gate import invalid_reason, passage, random_spans
from alive.roles.memory import Seen
from alive.roles.questions import answer
from alive.roles.spans import span_type
from alive.seeding import derive, digest
from alive.types import MASK, Document, Origin, Rollout, Task
from alive.verify import extract_answer, matches, normalise

__all__ = [
    "BLAMELESS",
    "Posed",
    "blind_guesses",
    "pose",
    "posed_at_random",
    "proposed_span",
    "task_id",
]

ROUNDS = 3
"""Times a poser is asked, the first included: what is left open then is filled at random."""

GUESS_TOKENS = 128
"""What takes longer to say is no guess; and every document of a step waits for it."""

BLAMELESS = frozenset({"taken", "posed before", "type too common"})
"""Reasons to refuse a proposal that say nothing against the span itself."""


@dataclass(frozen=True, slots=True)
class Posed:
    """What came of posing on one document.

    Attributes:
        tasks: At most M tasks, distinct spans; fewer only where the document has no more.
        rollouts: Every proposal, in order, used or not.
        reasons: For each rollout why its span was refused; None where it became a task.
    """

    tasks: tuple[Task, ...]
    rollouts: tuple[Rollout, ...]
    reasons: tuple[str | None, ...]

    @property
    def proposed_valid(self) -> int:
        """Number of tasks that the poser itself proposed."""
        return sum(task.origin == "poser" for task in self.tasks)

    @property
    def filled(self) -> int:
        """Number of tasks that an earlier step or chance chose."""
        return len(self.tasks) - self.proposed_valid

    @property
    def invalid(self) -> dict[str, int]:
        """Number of proposals refused, by reason."""
        return dict(Counter(reason for reason in self.reasons if reason is not None))


async def pose(
    sampler: Sampler,
    renderer: Renderer,
    document: Document,
    game: GameConfig,
    params: SamplingParams,
    seed: int,
    memory: Mapping[str, Seen] | None = None,
    guesses: Awaitable[Sequence[str]] | None = None,
) -> Posed:
    """Poses M tasks on a document.

    What the poser leaves open is filled with spans posed before of which more can be learned, then
    at random.

    Args:
        sampler: The policy.
        renderer: Renders the prompt.
        document: A raw text.
        game: M, the random share and the gate's limits.
        params: How proposals are drawn.
        seed: Seed of what this is part of.
        memory: Spans of this document that were posed lately.
        guesses: What the policy answers without any passage (``blind_guesses``); awaited by each
            document.

    Returns:
        The tasks, poser's first, and every proposal with what came of it.
    """
    prompt = renderer.pose(document.text, positive_condition("pose", renderer.words))
    m = game.masks_per_document
    wanted = m - round(game.random_share * m)
    draft = SpanDraft(document, game, memory or {})
    for turn in range(ROUNDS):
        missing = wanted - len(draft.tasks)
        request = Request(prompt, missing, params, derive(seed, "pose", document.id, turn))
        proposals = await sampler.sample(request) if missing > 0 else []
        # Made beside the first proposals, and needed only now.
        draft.guesses = await guesses if guesses else ()
        for rollout in proposals:
            draft.propose(rollout)
    draft.replay(wanted)
    draft.fill(m, derive(seed, "random", document.id))
    return Posed(tuple(draft.tasks), tuple(draft.rollouts), tuple(draft.reasons))


def posed_at_random(document: Document, game: GameConfig, seed: int) -> tuple[Task, ...]:
    """Returns at most M tasks on a document that nobody chose."""
    draft = SpanDraft(document, game, {})
    draft.fill(game.masks_per_document, derive(seed, "random", document.id))
    return tuple(draft.tasks)


async def blind_guesses(
    sampler: Sampler, renderer: Renderer, n: int, params: SamplingParams, seed: int
) -> tuple[str, ...]:
    """Returns what the policy answers, in at least half of ``n`` tries, with no passage at all.

    A span among these is guessable without reading, and no task. One call a step serves every
    document. [I] The paper asks for spans that need the passage; this is our test of it.
    """
    short = replace(params, max_new_tokens=min(params.max_new_tokens, GUESS_TOKENS))
    request = Request(renderer.solve(MASK, None), n, short, derive(seed, "blind"))
    answers = [
        normalise(answer)
        for rollout in await sampler.sample(request)
        if (answer := extract_answer(rollout.text)) is not None
    ]
    return tuple(answer for answer, count in Counter(answers).items() if 2 * count >= n)


def task_id(document: Document, span: str) -> str:
    """Returns the stable id of a task."""
    return digest("task", document.id, span)


class SpanDraft:
    """The tasks posed so far on one document, and what was refused.

    Attributes:
        guesses: Answers that the policy gives without any passage.
    """

    def __init__(self, document: Document, game: GameConfig, memory: Mapping[str, Seen]) -> None:
        """Starts with no task; the arguments are those of ``pose``."""
        self.document, self.game, self.memory = document, game, memory
        self.guesses: Sequence[str] = ()
        self.tasks: list[Task] = []
        self.rollouts: list[Rollout] = []
        self.reasons: list[str | None] = []

    def propose(self, rollout: Rollout) -> None:
        """Takes a proposal of the poser, if it is valid, and notes what came of it."""
        span = proposed_span(rollout.text)
        reason = self._refuse(span)
        self.rollouts.append(rollout)
        self.reasons.append(reason)
        if reason is None:
            self.tasks.append(replace(self._task(span, "poser"), pose=rollout))

    def replay(self, m: int) -> None:
        """Fills up to ``m`` tasks with spans that some attempts got right, those long ago first."""
        mixed = [span for span, seen in self.memory.items() if seen.mixed]
        for span in sorted(mixed, key=self._posed):
            if len(self.tasks) < m and self._refuse(span) is None:
                self.tasks.append(self._task(span, "replay"))

    def fill(self, m: int, seed: int) -> None:
        """Fills up to ``m`` tasks at random.

        A span type above its share waits; then, so that no document runs out, what was posed lately
        waits until the last, the longest ago first.
        """
        spans = random_spans(self.document, self.game, self._spans(), seed)
        for excused in (set(), {"type too common"}, BLAMELESS - {"taken"}):
            if "posed before" in excused:
                spans = sorted(spans, key=self._posed)
            for span in spans:
                if len(self.tasks) >= m:
                    return
                if self._refuse(span) in {None, *excused}:
                    self.tasks.append(self._task(span, "random"))

    def _posed(self, span: str) -> int:
        """When a span was last posed; -1 if it never was."""
        return self.memory[span].step if span in self.memory else -1

    def _refuse(self, span: str) -> str | None:
        taken = self._spans()
        reason = invalid_reason(self.document, span, self.game, taken)
        if reason is not None:
            return reason
        if any(matches(guess, span) for guess in self.guesses):
            return "guessable"
        if span in self.memory and not self.memory[span].mixed:
            return "posed before"
        return "type too common" if self._common(span, taken) else None

    def _common(self, span: str, taken: Sequence[str]) -> bool:
        """Whether a span's type has its share; the answer to a document's question has no type."""
        text, asked = self.document.text, answer(self.document)
        most = max(1, int(self.document.framing.most_type_share * self.game.masks_per_document))
        types = [span_type(text, other) for other in taken if other != asked]
        return span != asked and types.count(span_type(text, span)) >= most

    def _spans(self) -> list[str]:
        return [task.span for task in self.tasks]

    def _task(self, span: str, origin: Origin) -> Task:
        document = self.document
        return Task(
            id=task_id(document, span),
            document_id=document.id,
            passage=passage(document, span),
            span=span,
            origin=origin,
            domain=document.domain,
        )


def proposed_span(text: str) -> str:
    """Returns the span alone: the completion's first line without quotes around it."""
    line = next((line.strip() for line in text.split("\n") if line.strip()), "")
    for opening, closing in ('""', "''", "``", "“”", "**"):
        if len(line) > 2 and line[0] == opening and line[-1] == closing:
            line = line[1:-1].strip()
    return line
