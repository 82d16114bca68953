"""The vocabulary of the house: every object that travels down the corridor.

    Document --pose--> Task --solve x N--> Attempt --review--> Review
    Episode = (Document, Tasks, Attempts, Reviews)   stored, replayed and looked at
    Episode --arm--> TrainingRecord --learn--> policy, version + 1

All types are frozen. Dimension letters used in every docstring of the project:
D documents a step, M tasks a document, N attempts a task, B rows of a batch, P prompt tokens,
T completion tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["pose", "solve", "review", "revise"]
"""What a completion was written as. A review is ``review`` in both views, privileged and blind."""

StopReason = Literal["stop", "length"]
"""``stop``: the policy ended the completion itself. ``length``: it was cut at the token limit."""

Origin = Literal["poser", "replay", "random"]
"""Who chose a span: the policy, an earlier step, or the random fill (see docs/algorithm.md)."""

Loss = Literal["likelihood", "policy_gradient", "distil"]
"""What a record's completion is learned by: imitated, rewarded, or brought nearer to what the
policy says of it under a second, informed prompt."""

Context = Literal["document", "paragraph", "before"]
"""How much of a document a task shows around the hidden span."""

MASK = r"\mask{}"
"""Stands for the hidden text wherever a masked passage is shown."""


@dataclass(frozen=True, slots=True)
class Framing:
    """How tasks show the documents of a corpus, and which spans suit them.

    Attributes:
        context: How much of the document a task shows around the hidden span: all of it, its
            paragraph, or what stands before it.
        least_share_before: Least share of the text shown that stands before the span, 0..1; of the
            whole document where nothing behind the span is shown.
        most_type_share: Most tasks of one span type (output, number, name, term), share of M.
    """

    context: Context = "document"
    least_share_before: float = 0.0
    most_type_share: float = 0.5


OF_TEXT = Framing(context="before", least_share_before=0.25)
"""How text is shown that no world frames: what leads to the span, so that what follows stays the
reviewer's (docs/LOG.md, 39)."""


@dataclass(frozen=True, slots=True)
class Document:
    """A chunk of raw corpus text, cleaned and split.

    Attributes:
        id: Stable digest of source and position; the same text at the same place has the same id.
        text: The text itself, free of control characters.
        source: Where it came from, for people (file and line, or a builtin's name).
        domain: A label for reporting (``maths``, ``code``, ...); empty when unknown.
        framing: How tasks show it.
        asked: Characters at its beginning that ask for what the rest answers; 0 where none do.
    """

    id: str
    text: str
    source: str
    domain: str = ""
    framing: Framing = Framing()
    asked: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """A problem posed on a document: the text of one span is hidden, or its question is asked.

    Attributes:
        id: Stable digest of document and span.
        document_id: The document it was posed on.
        passage: What is shown of the document, every occurrence of the span replaced by ``MASK``;
            without one, the question to which the span is the answer.
        span: The hidden text, the target.
        origin: Who chose the span.
        domain: The document's domain.
        pose: The rollout that proposed the span; None where the poser did not.
    """

    id: str
    document_id: str
    passage: str
    span: str
    origin: Origin
    domain: str = ""
    pose: Rollout | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt: token ids that end where the completion begins.

    Attributes:
        role: The role whose completion is asked for.
        ids: Token ids, [P].
        condition: The feedback words the prompt opens with; None for the plain prompt.
        stop: Texts that end a completion, beside the policy's own end tokens; they are no part of
            what it says.
        stops_at_box: Whether the first closed answer box ends it too.
    """

    role: Role
    ids: tuple[int, ...]
    condition: str | None = None
    stop: tuple[str, ...] = ()
    stops_at_box: bool = False


@dataclass(frozen=True, slots=True)
class Rollout:
    """One sampled completion, whichever role wrote it.

    Attributes:
        prompt: What was asked.
        completion_ids: Token ids the policy wrote, [T], the end token included when it wrote one.
        logprobs: Natural log-probability of each completion token under the policy that sampled it
            (at temperature 1, before any truncation), [T]; empty where it was completed afterwards.
        text: The decoded completion without special tokens, up to a stop text. Untrusted.
        stop: Why it ended.
        policy_version: Number of optimiser steps the sampling policy had taken.
    """

    prompt: Prompt
    completion_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    text: str
    stop: StopReason
    policy_version: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """A solver's try at a task.

    Attributes:
        task_id: The task.
        index: Position in its group, 0..N-1.
        rollout: What the solver wrote.
        answer: The extracted final answer; None when none could be parsed.
        correct: Whether the answer matches the hidden text (``e`` in docs/algorithm.md).
        asked: Whether it came to no answer by itself, so that a box was opened behind it.
    """

    task_id: str
    index: int
    rollout: Rollout
    answer: str | None
    correct: bool
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Review:
    """A critique of one attempt, in words.

    Attributes:
        task_id: The task.
        attempt_index: The attempt of that task.
        rollout: What the reviewer wrote; None when a teacher template wrote it.
        text: The whole critique.
        summary: One or two sentences that become the feedback condition; empty if unparsed.
        verdict: True for right, False for wrong, None when it did not parse.
        faulty_step: 1-based index of the first faulty step; None when right or unparsed.
        score: 0..10, None when unparsed.
        privileged: Whether the reviewer saw the hidden span.
        leaks: Whether the critique states the hidden span and the attempt does not; what words a
            solver or reviser may see is asked apart (``alive.feedback``).
        hollow: Why it cannot be taken for a critique of its attempt; empty where it can.
    """

    task_id: str
    attempt_index: int
    rollout: Rollout | None
    text: str
    summary: str
    verdict: bool | None
    faulty_step: int | None
    score: float | None
    privileged: bool
    leaks: bool
    hollow: str = ""

    @property
    def given(self) -> bool:
        """Whether there is one: not every attempt need be reviewed."""
        return bool(self.text) or self.rollout is not None


@dataclass(frozen=True, slots=True)
class Episode:
    """Everything that happened on one document in one step: the unit that is stored and replayed.

    Attributes:
        step: The training step, 0-based.
        document: The document.
        tasks: M tasks.
        attempts: For each task its N attempts.
        reviews: For each task one review an attempt, in the same order.
        revisions: Attempts written after a review; ``index`` names the attempt revised.
        pose_rollouts: Every proposal of the poser, used or not, for the record.
        pose_reasons: For each of them why it was refused; None where it became a task.
    """

    step: int
    document: Document
    tasks: tuple[Task, ...]
    attempts: tuple[tuple[Attempt, ...], ...]
    reviews: tuple[tuple[Review, ...], ...]
    revisions: tuple[Attempt, ...] = ()
    pose_rollouts: tuple[Rollout, ...] = ()
    pose_reasons: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """One completion to learn, token-aligned. Learning knows nothing of roles beyond this.

    Attributes:
        role: The role, for normalisation within the role.
        prompt_ids: [P], carry no loss.
        completion_ids: [T], each carries loss.
        weight: Multiplies the record's loss; may be negative in reward-based arms.
        document_id: Lineage: the document.
        task_id: Lineage: the task; empty for records of a whole document.
        attempt_index: Lineage: the attempt, -1 where there is none.
        sampling_logprobs: [T], log-probability of each completion token under the policy and the
            prompt that sampled it; empty where no policy did.
        policy_version: Version of the policy that sampled it; -1 where none did.
        loss: ``likelihood`` imitates the completion; ``policy_gradient`` takes the weight for an
            advantage and clips by ``sampling_logprobs``; ``distil`` follows the distribution under
            ``informed_prompt_ids``.
        informed_prompt_ids: For ``distil`` alone: the second prompt, which holds the words.
    """

    role: Role
    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    weight: float
    document_id: str
    task_id: str = ""
    attempt_index: int = -1
    sampling_logprobs: tuple[float, ...] = ()
    policy_version: int = -1
    loss: Loss = "likelihood"
    informed_prompt_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Trained:
    """What learning made of one attempt, for the record.

    Attributes:
        feedback: The words it trained under, beside the plain prompt; None for that alone, or no
            training.
        weight: Its record's weight in the loss; 0 when it was not trained on.
        dropped: Why it was not trained on; empty when it was.
        pose_words: What the poser was told about the task, the pass rate in words.
        plain_logprob: Mean log-probability of a token of it under the plain prompt, nats; None
            where that is not known. Told once the step is taken (``alive.effect``).
        words_logprob: The same under the words that it trained under, or else those under which
            what it followed was written.
    """

    feedback: str | None = None
    weight: float = 0.0
    dropped: str = ""
    pose_words: str = ""
    plain_logprob: float | None = None
    words_logprob: float | None = None


TrainingKey = tuple[str, int, Role]
"""(task id, attempt index, ``solve`` or ``revise``): names one attempt of a step."""
