"""The teacher's critiques, and the formats: both from the text alone."""

from __future__ import annotations

import pytest
from fakes import PlainRenderer, encode

from alive.config import GameConfig, WarmupConfig
from alive.errors import ConfigError
from alive.prompts import make_renderer
from alive.roles.pose import mask
from alive.teacher import EndpointTeacher
from alive.types import Attempt, Document, Framing, Prompt, Rollout, Task
from alive.warmup import format_records, make_critic

TEXT = "Ann has 3 pens and buys 4 more pens. Bob finds 5 coins near the Old Mill in April."
DOCUMENT = Document("doc", TEXT, "here", "maths")
GAME = GameConfig(masks_per_document=3)


@pytest.fixture(scope="module")
def renderer(seed_tokenizer):
    return make_renderer(seed_tokenizer)


def attempt(text: str, correct: bool, index: int = 0) -> Attempt:
    rollout = Rollout(Prompt("solve", ()), encode(text), (), text, "stop", 0)
    return Attempt("t", index, rollout, None, correct)


TASK = Task("t", "doc", "Ann has 3 pens and buys 4 more pens. Now she has \\mask{}.", "7", "random")


def test_the_template_names_the_first_faulty_step(renderer) -> None:
    critic = make_critic(WarmupConfig(), renderer)
    tries = [
        attempt("3+4=7\n\\boxed{7}", True, 0),
        attempt("3+4=8\n\\boxed{8}", False, 1),
        attempt("3+4=7\n\\boxed{4}", False, 2),
        attempt("3+5=8\n\\boxed{8}", False, 3),
        attempt("no idea", False, 4),
    ]
    reviews = critic([TASK] * len(tries), tries)
    assert [review.verdict for review in reviews] == [True, False, False, False, False]
    assert [review.faulty_step for review in reviews] == [None, 1, 2, 1, None]
    assert [review.summary for review in reviews] == [
        "every step is right",
        "step 1 is wrong in the units",
        "step 2 is wrong in the answer",
        "step 1 is wrong in the number",
        "a step is wrong",
    ]
    assert [review.attempt_index for review in reviews] == [0, 1, 2, 3, 4]
    for review in reviews:
        assert (review.task_id, review.rollout, review.privileged) == ("t", None, True)
        assert not review.leaks


def test_an_endpoint_is_told_the_hidden_text_and_the_outcome(renderer, monkeypatch) -> None:
    asked = []

    def critiques(self, prompts):
        asked.extend(prompts)
        return ["Summary: well\nVerdict: right\nScore: 9"] * len(prompts)

    monkeypatch.setattr(EndpointTeacher, "critiques", critiques)
    config = WarmupConfig(teacher="http://127.0.0.1:1/v1", teacher_model="some")
    critic = make_critic(config, renderer)
    tries = [attempt("\\boxed{7}", True, 0), attempt("\\boxed{8}", False, 1)]
    assert [review.verdict for review in critic([TASK] * 2, tries)] == [True, True]
    for messages, outcome in zip(asked, ("right", "wrong"), strict=True):
        said = messages[-1]["content"]
        assert "the answer is: 7" in said
        assert f"the attempt is {outcome}." in said


def test_formats_are_masked_passages_with_their_spans(renderer) -> None:
    made = list(format_records(DOCUMENT, GAME, renderer, seed=1))
    assert [record.role for record in made] == ["solve", "pose"] * 3
    spans = []
    for solve, pose in zip(made[::2], made[1::2], strict=True):
        span = renderer.decode(pose.completion_ids)
        assert span in TEXT
        assert renderer.decode(solve.completion_ids) == f"\\boxed{{{span}}}"
        assert solve.prompt_ids == renderer.solve(mask(TEXT, span), None).ids
        assert pose.prompt_ids == renderer.pose(TEXT, None).ids
        assert solve.completion_ids[-1] == pose.completion_ids[-1] == renderer.stop_ids[0]
        assert (solve.weight, solve.document_id, solve.task_id) == (1.0, "doc", "")
        spans.append(span)
    assert len(set(spans)) == 3


def test_formats_show_what_a_task_will(renderer) -> None:
    text = f"{TEXT}\n\nCleo sat in seat 9 on the way to York and Dan in seat 2 behind her."
    game = GameConfig(masks_per_document=6)
    document = Document("two", text, "here", framing=Framing(context="paragraph"))
    made = list(format_records(document, game, renderer, seed=1))
    for solve, pose in zip(made[::2], made[1::2], strict=True):
        span = renderer.decode(pose.completion_ids)
        [paragraph] = [part for part in text.split("\n\n") if span in part]
        assert solve.prompt_ids == renderer.solve(mask(paragraph, span), None).ids
        assert pose.prompt_ids == renderer.pose(text, None).ids
    assert len(made) == 12


def test_formats_depend_on_the_seed(renderer) -> None:
    first = list(format_records(DOCUMENT, GAME, renderer, 1))
    assert list(format_records(DOCUMENT, GAME, renderer, 1)) == first
    others = [list(format_records(DOCUMENT, GAME, renderer, seed)) for seed in range(2, 6)]
    assert any(other != first for other in others)


def test_a_document_without_a_span_teaches_no_format(renderer) -> None:
    bare = Document("bare", "and so it was", "here")
    assert list(format_records(bare, GAME, renderer, 0)) == []


def test_an_endpoint_is_checked_before_it_is_asked() -> None:
    with pytest.raises(ConfigError, match="teacher"):
        make_critic(WarmupConfig(teacher="not a url", teacher_model="x"), PlainRenderer())


def test_an_endpoints_words_are_read_like_the_policys(monkeypatch, renderer) -> None:
    from alive.teacher import EndpointTeacher

    asked = []

    def critiques(self, prompts):
        asked.extend(prompts)
        return ["Step 1 is off.\nSummary: it is 7\nVerdict: wrong\nScore: 3", "what"]

    monkeypatch.setattr(EndpointTeacher, "critiques", critiques)
    config = WarmupConfig(teacher="http://127.0.0.1:9/v1", teacher_model="judge")
    tries = [attempt("3+4=8\n\\boxed{8}", False, 0), attempt("hm", False, 1)]
    leaking, mute = make_critic(config, renderer)([TASK] * 2, tries)
    assert (leaking.verdict, leaking.faulty_step, leaking.score) == (False, 1, 3.0)
    assert leaking.leaks
    assert (mute.verdict, mute.attempt_index) == (None, 1)
    shown = str(asked[0])
    assert all(part in shown for part in ("3+4=8", "Ann has 3 pens", "7"))
