"""The teacher's critiques, from the text alone."""

from __future__ import annotations

import pytest
from fakes import PlainRenderer, encode

from alive.config import Config, SamplingConfig, WarmupConfig
from alive.errors import ConfigError
from alive.prompts import Renderer, load_templates, make_renderer
from alive.teacher import EndpointTeacher
from alive.types import Attempt, Prompt, Rollout, Task
from alive.warmup import make_critic


@pytest.fixture(scope="module")
def renderer(seed_tokenizer):
    return make_renderer(seed_tokenizer)


def attempt(text: str, correct: bool, index: int = 0) -> Attempt:
    rollout = Rollout(Prompt("solve", ()), encode(text), (), text, "stop", 0)
    return Attempt("t", index, rollout, None, correct)


def endpoint(teacher_model: str = "judge", review_tokens: int = 64) -> Config:
    return Config(
        warmup=WarmupConfig(teacher="http://127.0.0.1:9/v1", teacher_model=teacher_model),
        sampling=SamplingConfig(review_tokens=review_tokens),
    )


TASK = Task("t", "doc", "Ann has 3 pens and buys 4 more pens. Now she has \\mask{}.", "7", "random")


def test_the_template_names_the_first_faulty_step(renderer) -> None:
    critic = make_critic(Config(), renderer)
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
    config = endpoint()
    critic = make_critic(config, renderer)
    tries = [attempt("\\boxed{7}", True, 0), attempt("\\boxed{8}", False, 1)]
    assert [review.verdict for review in critic([TASK] * 2, tries)] == [True, True]
    for messages, outcome in zip(asked, ("right", "wrong"), strict=True):
        said = messages[-1]["content"]
        assert "the answer is 7." in said
        assert f"the attempt is {outcome}." in said


def test_without_a_world_or_an_endpoint_the_policy_is_its_own_teacher(seed_tokenizer) -> None:
    chat = Renderer(seed_tokenizer, load_templates("chat"))
    assert make_critic(Config(), chat) is None


def test_an_endpoint_is_checked_before_it_is_asked() -> None:
    with pytest.raises(ConfigError, match="teacher"):
        make_critic(endpoint(teacher_model=""), PlainRenderer())


def test_an_endpoints_words_are_read_like_the_policys(monkeypatch, renderer) -> None:
    from alive.teacher import EndpointTeacher

    asked = []

    def critiques(self, prompts):
        asked.extend(prompts)
        return ["Step 1 is off.\nSummary: it is 7\nVerdict: wrong\nScore: 3", "what"]

    monkeypatch.setattr(EndpointTeacher, "critiques", critiques)
    config = endpoint()
    tries = [attempt("3+4=8\n\\boxed{8}", False, 0), attempt("hm", False, 1)]
    leaking, mute = make_critic(config, renderer)([TASK] * 2, tries)
    assert (leaking.verdict, leaking.faulty_step, leaking.score) == (False, 1, 3.0)
    assert leaking.leaks
    assert (mute.verdict, mute.attempt_index) == (None, 1)
    shown = str(asked[0])
    assert all(part in shown for part in ("3+4=8", "Ann has 3 pens", "7"))


def test_an_endpoint_may_write_as_long_as_a_review(monkeypatch, renderer) -> None:
    asked = []

    def critiques(self, prompts):
        asked.append(self.max_tokens)
        return [None] * len(prompts)

    monkeypatch.setattr(EndpointTeacher, "critiques", critiques)
    make_critic(endpoint(review_tokens=77), renderer)([TASK], [attempt("hm", False)])
    assert asked == [77]


def test_an_attempt_on_which_the_endpoint_was_silent_has_no_review(monkeypatch, renderer) -> None:
    monkeypatch.setattr(
        EndpointTeacher, "critiques", lambda self, prompts: [None, "Verdict: wrong"]
    )
    tries = [attempt("hm", False, 0), attempt("so", False, 1)]
    silent, given = make_critic(endpoint(), renderer)([TASK] * 2, tries)
    assert (silent.given, silent.attempt_index, silent.verdict) == (False, 0, None)
    assert (given.given, given.verdict) == (True, False)


def test_an_endpoint_is_asked_in_the_users_own_words(
    monkeypatch, chat_tokenizer, renderer, tmp_path
) -> None:
    asked = []

    def critiques(self, prompts):
        asked.extend(prompts)
        return [None] * len(prompts)

    monkeypatch.setattr(EndpointTeacher, "critiques", critiques)
    own = "Mine: $passage $attempt $span $outcome"
    (tmp_path / "review_privileged.txt").write_text(own)
    (tmp_path / "system.txt").write_text("You are mine.")
    make_critic(endpoint(), make_renderer(chat_tokenizer, str(tmp_path)))(
        [TASK], [attempt("hm", False)]
    )
    # A world's prompts are for its own model, and no chat.
    make_critic(endpoint(), renderer)([TASK], [attempt("hm", False)])
    mine, shipped = asked
    shown = "Ann has 3 pens and buys 4 more pens. Now she has ____."
    assert mine == [
        {"role": "system", "content": "You are mine."},
        {"role": "user", "content": f"Mine: {shown} hm 7 wrong"},
    ]
    assert [message["role"] for message in shipped] == ["user"]
    assert "Mine" not in str(shipped)
