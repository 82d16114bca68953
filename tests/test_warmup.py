"""The teacher's critiques, and the formats: both from the text alone."""

from __future__ import annotations

import asyncio

import pytest
from fakes import PlainRenderer, ScriptedSampler, decode, encode

from alive.config import Config, GameConfig, SamplingConfig, WarmupConfig
from alive.errors import ConfigError
from alive.prompts import Renderer, load_templates, make_renderer
from alive.roles.gate import mask
from alive.roles.pose import posed_at_random
from alive.teacher import EndpointTeacher
from alive.types import Attempt, Document, Framing, Prompt, Rollout, Task
from alive.warmup import boxed_share, format_documents, format_records, make_critic, tried

TEXT = "Ann has 3 pens and buys 4 more pens. Bob finds 5 coins near the Old Mill in April."
DOCUMENT = Document("doc", TEXT, "here", "maths")
GAME = GameConfig(masks_per_document=3)


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


def formats(renderer, script, documents=(DOCUMENT,), game=GAME, seed: int = 1):
    """The records of a format step of a scripted policy."""
    sampler = ScriptedSampler(script, read=renderer.show)
    config = Config(game=game, sampling=SamplingConfig(solve_tokens=30, temperature=0.5))
    return learned(documents, sampler, renderer, config, seed), sampler


def learned(documents, sampler, renderer, config: Config, seed: int):
    """Tries, and makes records of the attempts."""

    async def made():
        groups = await tried(documents, sampler, renderer, config, seed)
        return await format_records(groups, documents, sampler, renderer, config, seed)

    return asyncio.run(made())


def spans_of(made, renderer) -> list[str]:
    return [renderer.decode(one.completion_ids) for one in made if one.role == "pose"]


def test_formats_are_learned_from_own_right_attempts_with_their_working(renderer) -> None:
    spans: list[str] = []

    def script(prompt, text: str, index: int) -> str:
        hidden = next(s for s in spans if mask(TEXT, s) in text)
        said = (
            f"so it is\n\\boxed{{{hidden}}}",
            "\\boxed{x}",
            "so \\boxed{y}",
            f"or \\boxed{{{hidden}}}",
        )
        return said[index]

    game = GameConfig(masks_per_document=3, solutions_per_mask=4)
    spans[:] = [t.span for t in posed_at_random(DOCUMENT, game, 1)]
    made, sampler = formats(renderer, script, game=game)
    assert spans_of(made, renderer) == spans
    assert len(set(spans)) == 3
    assert [record.role for record in made] == ["pose"] * 3 + ["solve"] * 6
    groups = [(made[i], made[3 + 2 * i], made[4 + 2 * i]) for i in range(3)]
    for span, (pose, *solved) in zip(spans, groups, strict=True):
        assert pose.prompt_ids == renderer.pose(TEXT, None).ids
        assert {one.prompt_ids for one in solved} == {renderer.solve(mask(TEXT, span), None).ids}
        # Both as they were written, and of one weight together; a wrong box teaches nothing.
        assert [(one.attempt_index, one.weight) for one in solved] == [(0, 0.5), (3, 0.5)]
        assert [decode(one.completion_ids) for one in solved] == [
            f"so it is\n\\boxed{{{span}}}",
            f"or \\boxed{{{span}}}",
        ]
    assert {(r.n, r.params.max_new_tokens, r.params.temperature) for r in sampler.calls} == {
        (4, 30, 0.5)
    }


OPEN = "\\boxed{"


def unboxed(renderer, said: str, answer: str, stop: str = "stop", solve_tokens: int = 30):
    """What is learned of an attempt without a box, and the requests that were made."""
    sampler = ScriptedSampler(
        lambda _prompt, text, _index: answer if text.endswith(OPEN) else said,
        read=renderer.show,
        stops=lambda text: stop if text == said else "length" if text == "endless" else "stop",
    )
    config = Config(
        game=GameConfig(masks_per_document=1, solutions_per_mask=2),
        sampling=SamplingConfig(solve_tokens=solve_tokens, temperature=0.5),
    )
    made = learned([DOCUMENT], sampler, renderer, config, 1)
    return [one for one in made if one.role == "solve"], sampler


@pytest.mark.parametrize("answer", ["12", " 12 ", "a word", "nothing like the span"])
def test_an_attempt_without_a_box_is_asked_for_its_answer(renderer, answer: str) -> None:
    """Right or wrong: what is learned is to box it. No label is used."""
    solved, sampler = unboxed(renderer, "3 and 9 more.\nThat is it. ", answer)
    attempt, asked, other = sampler.calls
    # The box alone is learned, after what was written.
    written = attempt.prompt.ids + renderer.complete("3 and 9 more.\nThat is it.")[:-1]
    boxed = renderer.complete(f"\n\n\\boxed{{{answer.strip()}}}")
    assert [(one.prompt_ids, one.completion_ids) for one in solved] == [(written, boxed)] * 2
    assert asked.prompt == other.prompt
    assert asked.seed != other.seed
    assert asked.prompt.ids == written + renderer.complete("\n\n\\boxed{")[:-1]
    assert asked.prompt.stop == ("}",)
    assert (asked.n, asked.params.max_new_tokens, asked.params.temperature) == (1, 30, 0.5)


def test_an_answer_is_short(renderer) -> None:
    _, sampler = unboxed(renderer, "so", "12", solve_tokens=500)
    assert [one.params.max_new_tokens for one in sampler.calls] == [500, 32, 32]


def test_of_what_was_cut_the_lines_of_three_quarters_are_learned(renderer) -> None:
    said = "one line\nand another\nand a third line that goes on\n"
    assert len("one line\nand another\n") < 3 * len(said) // 4 < len(said)
    solved, sampler = unboxed(renderer, said, "12", stop="length")
    written = renderer.complete("one line\nand another")[:-1]
    assert {one.prompt_ids for one in solved} == {sampler.calls[0].prompt.ids + written}
    assert {one.completion_ids for one in solved} == {renderer.complete("\n\n\\boxed{12}")}


@pytest.mark.parametrize(
    ("said", "answer", "stop"),
    [
        ("so it is", "endless", "stop"),
        ("so it is", "  ", "stop"),  # an empty box is no answer
        ("so it is", "{a", "stop"),  # nor one that does not close
        ("one line that has no end", "12", "length"),
        ("", "12", "stop"),
    ],
)
def test_what_comes_to_no_answer_teaches_no_format(renderer, said, answer, stop) -> None:
    assert unboxed(renderer, said, answer, stop)[0] == []


def boxes(*attempts: tuple[str | None, str]) -> list[tuple[Task, list[Attempt]]]:
    """A group of attempts, each an answer and why it ended."""
    made = [
        Attempt("t", at, Rollout(Prompt("solve", ()), (), (), "", stop, 0), answer, False)
        for at, (answer, stop) in enumerate(attempts)
    ]
    return [(TASK, made)]


@pytest.mark.parametrize(
    ("attempts", "share"),
    [
        ([("7", "stop"), (None, "stop")], 0.5),
        ([("7", "stop"), (None, "length")], 1.0),  # what was cut says nothing
        ([("7", "length"), (None, "stop")], 0.5),
        ([("7", "stop"), (None, "length"), (None, "length")], 1 / 3),  # unless most were
        ([], 0.0),
    ],
)
def test_the_share_of_boxed_attempts_by_hand(attempts, share: float) -> None:
    assert boxed_share(boxes(*attempts)) == share


@pytest.mark.parametrize(
    ("documents", "masks", "solutions", "expected"),
    [(1, 2, 4, 4), (1, 3, 4, 3), (16, 2, 8, 16), (1, 8, 16, 1)],
)
def test_a_format_step_plays_enough_to_see(documents, masks, solutions, expected) -> None:
    game = GameConfig(
        documents_per_step=documents, masks_per_document=masks, solutions_per_mask=solutions
    )
    assert format_documents(game) == expected


def test_formats_show_what_a_task_will(renderer) -> None:
    text = f"{TEXT}\n\nCleo sat in seat 9 on the way to York and Dan in seat 2 behind her."
    document = Document("two", text, "here", framing=Framing(context="paragraph"))
    made, sampler = formats(
        renderer, lambda *_: "what", [document, DOCUMENT], GameConfig(masks_per_document=6)
    )
    spans = spans_of(made, renderer)
    assert len(spans) == 12
    for span, request in zip(spans[:6], sampler.calls[:6], strict=True):
        [paragraph] = [part for part in text.split("\n\n") if span in part]
        assert request.prompt.ids == renderer.solve(mask(paragraph, span), None).ids
    posed = [record.document_id for record in made if record.role == "pose"]
    assert posed == ["two"] * 6 + ["doc"] * 6


def test_formats_depend_on_the_seed(renderer) -> None:
    first = formats(renderer, lambda *_: "what")[0]
    assert formats(renderer, lambda *_: "what")[0] == first
    others = [formats(renderer, lambda *_: "what", seed=seed)[0] for seed in range(2, 6)]
    assert any(other != first for other in others)


def test_a_document_without_a_span_teaches_no_format(renderer) -> None:
    bare = Document("bare", "and so it was", "here")
    assert formats(renderer, lambda *_: "what", [bare])[0] == []


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
    assert [message["role"] for message in shipped] == ["user", "assistant"] * 2 + ["user"]
    assert "Mine" not in str(shipped)
