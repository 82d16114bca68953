r"""Finds the answer in a completion: what stands in a ``\boxed{...}``."""

from __future__ import annotations

import re

__all__ = ["MAX_ANSWER_CHARS", "extract_answer", "final_answer"]

MAX_ANSWER_CHARS = 200

_BOX = "\\boxed"
_BRACE = re.compile(r"\\[\s\S]|[{}]")
_WORKED = re.compile(r"^[ \t]*####[ \t]*(\S[^\n]*)$", re.MULTILINE)

# A model without a chat template runs on: it poses itself another task, and answers that.
_NEXT_TASK = re.compile(
    r"""
    <\|[a-z_]{1,20}\|> | </s> | \\mask\{
  | ^[ \t>*\#\d.)-]{0,12}
    (?: (?:(?:next|new|another)[ ])? (?:question|problem|exercise|example|task|passage|instruction)
        [ ]?[\w.-]{0,8}[*_]{0,2}[ \t]*[:\n]
      | (?:q|human|user|text)[ ]?\d{0,4}[*_]{0,2}:
      | (?:here[ ]is|now[ ]solve|solve|consider|try)[ ](?:the[ ]next|another|a[ ](?:new|similar))\b
    )
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
# A paragraph of its own that asks: long enough for a task, and no doubt of what was just said.
_ASKING = re.compile(r"[^?]{40,1000}\?[ \t*_]*")
_DOUBT = re.compile(
    r"[\W_]*(?:wait|hmm+|hm|but|let|is|are|was|were|does|did|do|actually|so|oh|hold|alternatively"
    r"|maybe|perhaps|however|check|why|should|could|can|have|am|or|no|to|therefore|thus)\b",
    re.IGNORECASE,
)


def extract_answer(completion: str) -> str | None:
    r"""Returns what the solver boxed last before it ended or went on to another task, or None.

    A chat model boxes intermediate results and corrects itself, so the last box of one working
    counts. A base model goes on after its answer: it writes ``Question:`` or a paragraph that asks,
    and boxes the answer to that. So the text ends, for this function, where after a closed box the
    next task begins.

    Of boxes in boxes the one that opens last counts. Escaped braces do not count for the balance; a
    box that never closes is skipped. If the box found is empty or holds more than 200 characters,
    there is no answer.

    Args:
        completion: The solver's own text, without its prompt. Untrusted.
    """
    boxes = _boxes(completion)
    first = next((end for start, end in boxes if completion[start:end].strip()), None)
    if first is None:
        return None
    ends = _next_task(completion, first)
    start, end = max(box for box in boxes if box[1] < ends)
    content = completion[start:end].strip()
    return content if content and end - start <= MAX_ANSWER_CHARS else None


def final_answer(worked: str) -> str:
    r"""Returns the answer that a suite's ``answer`` stands for.

    A worked solution ends with ``#### X`` or holds ``\boxed{X}``, the last of which counts; then it
    is X. Any other text is the answer itself, stripped.
    """
    marks = _WORKED.findall(worked)
    if marks:
        return str(marks[-1]).strip()
    boxes = _boxes(worked)
    start, end = max(boxes) if boxes else (0, 0)
    boxed = worked[start:end].strip() if end - start <= MAX_ANSWER_CHARS else ""
    return boxed or worked.strip()


def _boxes(text: str) -> list[tuple[int, int]]:
    """Returns (start, end) of the content of every box that closes, in the order of closing."""
    openings: list[int] = []
    boxes: list[tuple[int, int]] = []
    if _BOX not in text:
        return boxes
    for brace in _BRACE.finditer(text):
        if brace.group() == "{":
            openings.append(brace.start())
        elif brace.group() == "}" and openings:
            opening = openings.pop()
            if text.endswith(_BOX, 0, opening):
                boxes.append((opening + 1, brace.start()))
    return boxes


def _next_task(text: str, answered: int) -> int:
    """Returns where, behind a box that closed at ``answered``, another task begins, or the end."""
    marked = _NEXT_TASK.search(text, answered + 1)
    ends = marked.start() if marked else len(text)
    start, after_blank = answered + 1, False
    for line in text[start:ends].split("\n"):
        if after_blank and _ASKING.fullmatch(line) and not _DOUBT.match(line):
            return start
        start, after_blank = start + len(line) + 1, not line.strip()
    return ends
