"""Documents with their masks, tasks with their attempts, by hand."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alive.types import MASK
from alive.view.lineage import Mark, TaskView, documents_of, learned, marked, task_of

DOCUMENT = "Tom has 3 pens.\n\nAnn has 3 and 4 pens."


def row(**changes: Any) -> dict[str, Any]:
    base = {
        "step": 0,
        "document_id": "d",
        "document": DOCUMENT,
        "source": "a.txt",
        "task_id": "t",
        "passage": f"Ann has {MASK} and 4 pens.",
        "span": "3",
        "role": "solve",
        "attempt_index": 0,
        "completion": "1\n2",
        "correct": False,
        "pass_rate": 0.5,
        "faulty_step": None,
        "lines": 0,
        "weight": 0.0,
        "dropped": "wrong",
        "plain_logprob": None,
        "words_logprob": None,
    }
    return base | changes


def record(**changes: Any) -> dict[str, Any]:
    base = {
        "role": "solve",
        "task_id": "t",
        "attempt_index": 0,
        "weight": 0.5,
        "rehearsed": False,
        "prompt": "p",
        "completion": "c",
    }
    return base | changes


def test_a_span_is_marked_in_its_own_paragraph_alone() -> None:
    [found] = documents_of([row(), row(attempt_index=1, correct=True, weight=1.0)])
    assert found.marks == [
        Mark("Tom has 3 pens.\n\nAnn has "),
        Mark("3", "t", 0.5),
        Mark(" and 4 pens."),
    ]
    [task] = found.tasks
    assert (task.right, task.attempts, task.corrected, task.trained) == (1, 2, 0, 1)


def test_what_words_change_is_the_mean_over_the_attempts_of_which_it_is_known() -> None:
    known = {"plain_logprob": -1.0, "words_logprob": -0.5}
    rows = [
        row(**known),
        row(attempt_index=1, plain_logprob=-0.25, words_logprob=-1.25),
        row(attempt_index=2, plain_logprob=-9.0),
        row(attempt_index=1, role="revise", plain_logprob=-9.0, words_logprob=-1.0),
        row(task_id="u", words_logprob=-1.0),
    ]
    [found] = documents_of(rows)
    assert [task.shift for task in found.tasks] == [(0.5 - 1.0) / 2, None]


def test_spans_of_several_tasks_are_marked_and_the_first_of_two_that_overlap() -> None:
    whole = {"passage": f"Tom has 3 pens.\n\nAnn has 3 and {MASK}.", "span": "4 pens"}
    part = {"passage": f"Ann has 3 and 4 {MASK}.", "span": "pens"}
    [found] = documents_of([row(), row(task_id="u", **whole), row(task_id="v", **part)])
    assert [(m.text, m.task) for m in found.marks if m.task] == [("3", "t"), ("4 pens", "u")]
    assert "".join(mark.text for mark in found.marks) == DOCUMENT


def test_a_passage_that_is_not_in_its_document_marks_nothing() -> None:
    [found] = documents_of([row(passage=f"{MASK} else")])
    assert found.marks == [Mark(DOCUMENT)]


def test_the_answer_to_a_question_is_marked_where_it_comes_last() -> None:
    document = "How many?\n\n3 + 4 = 7, so 7."
    view = TaskView(row(passage="How many?", span="7"), 0, 1, 0, 0)
    pieces = [mark.text for mark in marked(document, [view])]
    assert pieces == ["How many?\n\n3 + 4 = 7, so ", "7", "."]


@given(st.text("ab \n", max_size=30), st.text("ab", min_size=1, max_size=3))
def test_marks_put_together_are_the_document(document: str, span: str) -> None:
    passage = document.replace(span, MASK)
    view = TaskView(row(passage=passage, span=span), 0, 1, 0, 0)
    marks = marked(document, [view])
    assert "".join(mark.text for mark in marks) == document
    assert sum(bool(mark.task) for mark in marks) == document.count(span)


def test_attempts_that_wrote_the_same_share_a_column() -> None:
    rows = [
        row(attempt_index=0, completion="1\n2\n3", faulty_step=2),
        row(attempt_index=1, completion="9", correct=True, dropped="", weight=1.0),
        row(attempt_index=2, completion="1\n2\n3", dropped="not reviewed"),
        row(attempt_index=2, role="revise", completion="8", correct=True),
    ]
    records = [
        record(attempt_index=1),
        record(attempt_index=2, role="review"),
        record(attempt_index=2, task_id="other"),
        record(attempt_index=-1, role="pose"),
    ]
    first, second = task_of(rows, records)
    assert (first.indices, second.indices) == ([0, 2], [1])
    assert first.dropped == ["wrong", "not reviewed"]
    assert [line.faulty for line in first.lines] == [False, True, False]
    assert [one["completion"] for one in first.revisions] == ["8"]
    assert [one["role"] for one in first.records] == ["review"]
    assert [one["role"] for one in second.records] == ["solve"]


def test_records_that_taught_the_same_are_counted_together() -> None:
    told = record(informed_prompt="words")  # what is distilled is not what is imitated
    assert len(learned([record(), told, {**told}])) == 2
    found = learned([record(), record(attempt_index=1), record(prompt="q"), record(rehearsed=True)])
    assert [(one.times, one.weight) for one in found] == [(2, 1.0), (1, 0.5), (1, 0.5)]
