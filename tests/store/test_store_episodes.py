"""Episodes as rows, by hand."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from alive.config import Config
from alive.store import EPISODE_COLUMNS, RunFolder
from alive.types import Attempt, Document, Episode, Prompt, Review, Role, Rollout, Task, Trained


def rollout(text: str, role: Role = "solve") -> Rollout:
    return Rollout(Prompt(role, (7, 8, 9)), (1, 2), (-0.5, -0.25), text, "stop", 6)


def review(attempt_index: int, verdict: bool | None, hollow: str = "") -> Review:
    said = ("1 ok", "step 1 is right", verdict, None, 10.0)
    return Review("t1", attempt_index, None, *said, True, False, hollow)


EPISODE = Episode(
    step=12,
    document=Document("d1", "2+3=5", "notes.txt:4", "maths"),
    tasks=(
        Task("t1", "d1", r"2+3=\mask{}", "5", "poser", "maths", rollout("5", "pose")),
        Task("t2", "d1", r"\mask{}+3=5", "2", "random", "maths"),
    ),
    attempts=(
        (
            Attempt("t1", 0, rollout("it is \\boxed{5}"), "5", True),
            Attempt("t1", 1, rollout("no \ud800 idea"), None, False),
        ),
        (Attempt("t2", 0, rollout("\\boxed{3}"), "3", False),),
    ),
    reviews=((review(0, True), review(1, None, "recites its prompt")), ()),
    revisions=(Attempt("t1", 1, rollout("\\boxed{5}", "revise"), "5", True, asked=True),),
)
TRAINING = {
    ("t1", 0, "solve"): Trained("every step is right", 0.5, "", "challenging", -0.75, -0.5),
    ("t1", 1, "solve"): Trained(dropped="unparsed", pose_words="challenging"),
    ("t1", 1, "revise"): Trained(weight=0.25, pose_words="challenging"),
}


def test_a_row_an_attempt(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run", Config()) as run:
        run.write_episode(12, [EPISODE], TRAINING, lambda ids: f"prompt {list(ids)}")
    table = pq.ParquetFile(tmp_path / "run" / "episodes" / "step-000012.parquet").read()
    assert table.column_names == list(EPISODE_COLUMNS)
    rows = table.to_pylist()
    assert [(row["task_id"], row["attempt_index"], row["role"]) for row in rows] == [
        ("t1", 0, "solve"),
        ("t1", 1, "solve"),
        ("t2", 0, "solve"),
        ("t1", 1, "revise"),
    ]
    assert rows[0] == {
        "step": 12,
        "document_id": "d1",
        "source": "notes.txt:4",
        "domain": "maths",
        "document": "2+3=5",
        "task_id": "t1",
        "passage": r"2+3=\mask{}",
        "span": "5",
        "origin": "poser",
        "pose_text": "5",
        "role": "solve",
        "attempt_index": 0,
        "policy_version": 6,
        "prompt": "prompt [7, 8, 9]",
        "completion": "it is \\boxed{5}",
        "stop": "stop",
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "extracted": "5",
        "asked": False,
        "correct": True,
        "critique": "1 ok",
        "critic": "teacher",
        "verdict": True,
        "score": 10.0,
        "faulty_step": None,
        "privileged": True,
        "leaks": False,
        "hollow": "",
        "feedback": "every step is right",
        "pass_rate": 0.5,
        "pose_words": "challenging",
        "weight": 0.5,
        "dropped": "",
        "plain_logprob": -0.75,
        "words_logprob": -0.5,
    }
    # A lone surrogate, which UTF-8 cannot carry, does not stop a run.
    assert rows[1]["completion"] == "no ? idea"
    assert (rows[1]["weight"], rows[1]["dropped"], rows[1]["verdict"]) == (0.0, "unparsed", None)
    assert (rows[1]["plain_logprob"], rows[1]["words_logprob"]) == (None, None)
    assert rows[1]["hollow"] == "recites its prompt"
    # No review, no record: nulls and weight 0.
    assert (rows[2]["critique"], rows[2]["pose_text"], rows[2]["weight"]) == (None, None, 0.0)
    assert (rows[2]["hollow"], rows[2]["pass_rate"]) == (None, 0.0)
    # A revision stands beside the review it answers.
    assert (rows[3]["critique"], rows[3]["weight"], rows[3]["correct"]) == ("1 ok", 0.25, True)
    assert [row["asked"] for row in rows] == [False, False, False, True]
