"""A document's game with a scripted policy: who is asked what, in which order and how."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from fakes import Said, ScriptedSampler

from alive.config import Config, GameConfig, SamplingConfig
from alive.game import Played, play, play_all
from alive.prompts import make_renderer
from alive.protocols import Request
from alive.reviewing import hardest
from alive.roles.memory import Seen, remembered
from alive.roles.review import from_text
from alive.types import Attempt, Document, Framing, Prompt, Rollout

DOCUMENT = Document(
    "doc",
    "Ann has 3 pens and buys 4 more pens. Now Ann has 12 pens.",
    "here",
    framing=Framing(most_type_share=1.0),
)
RIGHT = "1 ok\nSummary: every step is right\nVerdict: right\nScore: 10"
WRONG = "1 wrong sum\nSummary: step 1 is wrong in the sum\nVerdict: wrong\nScore: 0"
CONFIG = Config(
    seed=5,
    game=GameConfig(
        masks_per_document=2,
        solutions_per_mask=4,
        random_share=0.0,
        revisions_per_mask=1,
    ),
    sampling=SamplingConfig(pose_tokens=3, solve_tokens=20, review_tokens=30, top_p=0.9),
)


@pytest.fixture(scope="module")
def renderer(seed_tokenizer):
    return make_renderer(seed_tokenizer)


@pytest.fixture
def sampler(renderer):
    """Proposes 12 and 3; solves every other attempt; reviews by looking at the span and answer."""

    def script(prompt, text: str, index: int) -> str:
        if prompt.role == "pose":
            return ("12", "3")[index % 2]
        span = "12" if "has \\mask{} pens." in text else "3"
        if prompt.role == "solve":
            index += 2 * (prompt.condition is None)  # the second half of a task's attempts
            return f"\\boxed{{{span if index % 2 else 99 + index}}}"
        if prompt.role == "review":
            return RIGHT if f"\\boxed{{{span}}}" in text else WRONG
        return f"\\boxed{{{span}}}"

    return ScriptedSampler(script, read=renderer.show)


@pytest.fixture
def game(sampler, renderer):
    def of_one(config: Config = CONFIG, step: int = 7, **more) -> Played:
        return asyncio.run(play(DOCUMENT, step, sampler, renderer, config, **more))

    return of_one


def with_game(**changes) -> Config:
    return CONFIG.model_copy(update={"game": CONFIG.game.model_copy(update=changes)})


def asked_of(sampler: ScriptedSampler, role: str) -> list[Request]:
    return [request for request in sampler.calls if request.prompt.role == role]


def test_a_whole_game(game, sampler, renderer) -> None:
    played = game()
    episode = played.episode
    assert (episode.step, episode.document) == (7, DOCUMENT)
    assert [task.span for task in episode.tasks] == ["12", "3"]
    assert (played.proposed, played.filled, played.refused) == (2, 0, {})
    assert [r.text for r in episode.pose_rollouts] == ["12", "3"]
    for task, attempts, reviews in zip(
        episode.tasks, episode.attempts, episode.reviews, strict=True
    ):
        assert [attempt.index for attempt in attempts] == [0, 1, 2, 3]
        assert [attempt.correct for attempt in attempts] == [False, True, False, True]
        assert [attempt.answer for attempt in attempts] == ["99", task.span, "101", task.span]
        assert [review.verdict for review in reviews] == [False, True, False, True]
        assert {review.task_id for review in reviews} == {task.id}
        assert [review.attempt_index for review in reviews] == [0, 1, 2, 3]
        assert all(review.privileged and not review.leaks for review in reviews)
    assert [r.task_id for r in episode.revisions] == [task.id for task in episode.tasks]
    assert all(r.correct and r.index in (0, 2) for r in episode.revisions)
    # Per task 99, 101 and the right answer are reviewed, and one wrong attempt is revised.
    assert sampler.roles == ["pose", *["solve"] * 4, *["review"] * 6, *["revise"] * 2]


def test_each_role_gets_its_own_limits_and_each_request_its_own_seed(game, sampler) -> None:
    game()
    params = {
        request.prompt.role: (
            request.params.max_new_tokens,
            request.params.temperature,
            request.params.top_p,
        )
        for request in sampler.calls
    }
    assert params == {
        "pose": (3, 1.0, 0.9),
        "solve": (20, 1.0, 0.9),
        "review": (30, 0.0, 1.0),
        "revise": (20, 1.0, 0.9),
    }
    assert len({request.seed for request in sampler.calls}) == len(sampler.calls)


def test_without_trust_in_words_attempts_are_plain(game, sampler) -> None:
    game(conditioned=False)
    assert {r.prompt.condition for r in asked_of(sampler, "solve")} == {None}
    assert {r.prompt.condition for r in asked_of(sampler, "pose")} == {"very hard"}


def test_half_of_the_attempts_are_made_without_the_words(game, sampler) -> None:
    played = game()
    asked = [(request.prompt.condition, request.n) for request in asked_of(sampler, "solve")]
    assert Counter(asked) == {("every step is right", 2): 2, (None, 2): 2}
    for attempts in played.episode.attempts:
        conditions = [attempt.rollout.prompt.condition for attempt in attempts]
        assert conditions == ["every step is right"] * 2 + [None] * 2
        assert [attempt.index for attempt in attempts] == [0, 1, 2, 3]


def test_some_attempts_can_be_left_without_a_review(game) -> None:
    episode = game(with_game(reviews_per_document=4)).episode
    # Of each task one right answer, which two attempts share, and the first of two wrong ones.
    for reviews in episode.reviews:
        assert [review.given for review in reviews] == [True, True, False, True]
        assert [review.verdict for review in reviews] == [False, True, None, True]
    assert {r.index for r in episode.revisions} == {0}


def of_texts(*groups: str) -> list[list[Attempt]]:
    """Attempts named by what they say: a capital letter is right."""
    prompt = Prompt("solve", ())
    return [
        [
            Attempt("t", i, Rollout(prompt, (), (), text, "stop", 0), None, text.isupper())
            for i, text in enumerate(group)
        ]
        for group in groups
    ]


@pytest.mark.parametrize(
    ("most", "chosen"),
    [
        (1, [4]),  # the first wrong attempt at the task that nobody solved
        (2, [4, 2]),  # the first right one where fewest were right
        (3, [4, 2, 0]),
        (4, [4, 2, 0, 8]),
        (6, [4, 2, 0, 8, 5, 3]),  # each task once before any twice
        (0, [*range(12)]),
    ],
)
def test_the_hardest_tasks_are_reviewed_first(most: int, chosen: list[int]) -> None:
    groups = of_texts("abCD", "efgh", "IIII")
    # What the last task's four attempts say is the same, and reviewed once for all.
    alike = {8, 9, 10, 11} if 8 in chosen else set()
    assert hardest(groups, most) == sorted({*chosen, *alike})


def test_right_attempts_are_reviewed_beside_wrong_ones_alone() -> None:
    assert hardest(of_texts("ABcD", "EFGH"), 8) == [0, 2]
    assert hardest(of_texts("ABCD", "EFGH"), 8) == []
    assert hardest(of_texts("abcd", "efgh"), 3) == [0, 1, 4]


def test_an_arm_without_reviews_ends_after_its_attempts(game, sampler) -> None:
    episode = game(reviewed=False).episode
    assert len(episode.attempts) == 2
    assert episode.reviews == episode.revisions == ()
    assert sampler.roles == ["pose", *["solve"] * 4]


def test_second_tries_may_be_told_nothing(game, sampler, renderer) -> None:
    """The control revises the attempts that would be revised, as many, after empty words."""
    told = game().episode.revisions
    calls = len(sampler.calls)
    untold = game(with_game(revise_from="nothing")).episode
    assert [(r.task_id, r.index) for r in untold.revisions] == [(r.task_id, r.index) for r in told]
    shown = [renderer.show(r.rollout.prompt.ids) for r in untold.revisions]
    assert all(renderer.words.content_free in text for text in shown)
    assert not any("step 1 is wrong" in text for text in shown)
    assert any("step 1 is wrong" in renderer.show(r.rollout.prompt.ids) for r in told)
    assert [r.prompt.role for r in sampler.calls[calls:]] == sampler.roles[:calls]


def test_reviewers_of_training_may_be_blind(game, sampler, renderer) -> None:
    reviews = game(with_game(privileged=False)).episode.reviews
    assert not any(review.privileged for group in reviews for review in group)
    asked = {renderer.show(request.prompt.ids) for request in asked_of(sampler, "review")}
    assert asked
    assert not any("<|answer|>" in text for text in asked)


def test_a_hint_instead_of_a_review(chat_tokenizer) -> None:
    """STaR: wrong attempts see the answer, one of each task here, and nobody reviews."""
    renderer = make_renderer(chat_tokenizer)

    def script(prompt, text: str, index: int) -> str:
        if prompt.role == "pose":
            return ("12", "3")[index % 2]
        if prompt.role == "revise":
            return "so \\boxed{12}"
        return f"\\boxed{{{12 if index % 2 else 99 + index}}}"

    sampler = ScriptedSampler(script, read=renderer.show)
    config = with_game(masks_per_document=1)
    played = play(DOCUMENT, 7, sampler, renderer, config, reviewed=False, hinted=True)
    episode = asyncio.run(played).episode
    [task], [group], [revision] = episode.tasks, episode.attempts, episode.revisions
    assert episode.reviews == ()
    assert not group[revision.index].correct
    assert revision.correct
    assert revision.rollout.prompt == renderer.hint(task.passage, task.span)
    assert "The answer is 12." in renderer.show(revision.rollout.prompt.ids)
    assert group[revision.index].rollout.text not in renderer.show(revision.rollout.prompt.ids)


@pytest.mark.parametrize("reviewed", [False, True])
def test_a_baseline_takes_attempts_as_they_are(chat_tokenizer, reviewed: bool) -> None:
    """Who came to no answer is wrong there; ALIVE asks for it."""
    renderer = make_renderer(chat_tokenizer)

    def script(prompt, text: str, index: int) -> str:
        if prompt.role == "pose":
            return "12"
        return "12" if text.endswith("\\boxed{") else "3 and 9 are twelve."

    sampler = ScriptedSampler(script, read=renderer.show)
    config = with_game(masks_per_document=1, revisions_per_mask=0).model_copy(
        update={"sampling": SamplingConfig(pose_tokens=3, solve_tokens=200, review_tokens=30)}
    )
    played = asyncio.run(play(DOCUMENT, 7, sampler, renderer, config, reviewed=reviewed))
    [group] = played.episode.attempts
    assert {(one.asked, one.correct) for one in group} == {(reviewed, reviewed)}


def test_a_teacher_writes_the_reviews_instead(game, sampler) -> None:
    seen = []

    def critic(tasks, attempts):
        seen.append((len(tasks), len(attempts)))
        return [from_text(t, a, RIGHT) for t, a in zip(tasks, attempts, strict=True)]

    episode = game(critic=critic).episode
    assert seen == [(8, 8)]
    assert not asked_of(sampler, "review")
    assert all(review.rollout is None for group in episode.reviews for review in group)
    # Called right, though wrong: a deceptive review is nothing to revise by.
    assert episode.revisions == ()


def test_a_policy_that_teaches_itself_tries_again(game, sampler) -> None:
    """Up to four times; what it writes in the end is its own."""
    plain, said, good = sampler.script, Counter(), 5

    def script(prompt, text: str, index: int) -> str:
        if prompt.role != "review":
            return plain(prompt, text, index)
        said[text] += 1
        return plain(prompt, text, index) if said[text] == good else "hm"

    sampler.script = script
    episode = game().episode
    assert {review.verdict for group in episode.reviews for review in group} == {None}
    assert set(said.values()) == {4}
    said.clear()
    good = 4
    episode = game().episode
    assert set(said.values()) == {4}
    for attempts, reviews in zip(episode.attempts, episode.reviews, strict=True):
        assert [a.correct for a in attempts] == [r.verdict for r in reviews]
        assert all(review.rollout is not None for review in reviews)


def test_words_that_state_what_is_hidden_are_not_said(game, sampler, renderer) -> None:
    hidden = replace(DOCUMENT, text="Every dog takes one step, then it is off. So it was, and is.")
    plain = sampler.script
    sampler.script = lambda prompt, text, index: (
        "step" if prompt.role == "pose" else plain(prompt, text, index)
    )
    asyncio.run(play(hidden, 7, sampler, renderer, with_game(masks_per_document=1)))
    assert {r.prompt.condition for r in asked_of(sampler, "solve")} == {None}


def test_no_review_that_leaks_guides_a_revision(game, sampler) -> None:
    """Not even where the attempt stated the span itself."""
    plain = sampler.script

    def script(prompt, text: str, index: int) -> str:
        if prompt.role == "solve":
            return "it is 3, or 12\n\\boxed{99}"
        return plain(prompt, text, index).replace("wrong sum", "not twelve, not 3")

    sampler.script = script
    episode = game().episode
    assert all(not r.leaks and r.verdict is False for group in episode.reviews for r in group)
    assert episode.revisions == ()


def test_forty_short_notes_last_two_hundred_steps(renderer) -> None:
    """Each note holds two spans or three, and is met every fortieth step."""
    names = ("Ann", "Bob", "Cleo", "Dan", "Eva")
    notes = [
        replace(DOCUMENT, id=str(i), text=f"We met {names[i % 5]} at {i + 11} in a bar by the sea.")
        for i in range(40)
    ]
    sampler = ScriptedSampler(
        lambda prompt, text, index: "\\boxed{no}" if prompt.role == "solve" else "nothing",
        read=renderer.show,
    )
    config = with_game(masks_per_document=2, solutions_per_mask=2)
    memory: dict[str, dict[str, Seen]] = {}
    for step in range(200):
        note = notes[step % 40]
        one = asyncio.run(
            play(note, step, sampler, renderer, config, reviewed=False, memory=memory)
        )
        assert len(one.episode.tasks) == 2
        memory = remembered(memory, [one.episode], step)
        # What is asked is what was asked longest ago, or never.
        spans = {task.span for task in one.episode.tasks}
        rest = [seen.step for span, seen in memory[note.id].items() if span not in spans]
        assert all(step - 80 <= last for last in rest)


def test_revisions_follow_the_setting(game) -> None:
    for count, expected in ((0, 0), (1, 2), (2, 4), (9, 4)):
        episode = game(with_game(revisions_per_mask=count)).episode
        assert len(episode.revisions) == expected
        assert len({(r.task_id, r.index) for r in episode.revisions}) == expected


def test_memory_and_guesses_reach_the_poser(game) -> None:
    first = game().episode
    seen = {task.span: Seen(6, mixed=False) for task in first.tasks}
    again = game(memory={DOCUMENT.id: seen, "another": {"3": Seen(6, mixed=True)}})
    assert not {task.span for task in again.episode.tasks} & {"12", "3"}
    assert again.refused == {"posed before": 6}
    guessed = game(guesses=Said("12"))
    assert "12" not in {task.span for task in guessed.episode.tasks}
    assert guessed.refused["guessable"] >= 1


def test_the_same_step_is_the_same_game_and_another_is_not(game, sampler) -> None:
    assert game() == game()
    seeds = [request.seed for request in sampler.calls]
    half = len(seeds) // 2
    assert seeds[:half] == seeds[half:]
    game(step=8)
    assert not set(seeds) & {request.seed for request in sampler.calls[2 * half :]}


def test_a_document_is_played_the_same_whatever_is_played_beside_it(
    game, sampler, renderer
) -> None:
    alone = game()
    requests = list(sampler.calls)
    sampler.calls.clear()
    others = [replace(DOCUMENT, id=name) for name in ("before", "after")]
    documents = [others[0], DOCUMENT, others[1]]
    played = asyncio.run(play_all(documents, 7, sampler, renderer, CONFIG))
    assert [one.episode.document for one in played] == documents
    assert played[1] == alone
    assert not Counter(requests) - Counter(sampler.calls)
    assert len({request.seed for request in sampler.calls}) == 3 * len(requests)


def test_documents_do_not_wait_for_one_another(renderer) -> None:
    """Of two documents the quick one is revised before the slow one has a task."""
    slow = replace(DOCUMENT, id="slow", text=DOCUMENT.text.replace("Ann", "Bob"))
    script = {"pose": "12", "solve": "\\boxed{99}", "review": WRONG, "revise": "\\boxed{12}"}
    seen: list[tuple[str, bool]] = []

    class Late(ScriptedSampler):
        async def sample(self, request: Request) -> list[Rollout]:
            held_up = "Bob" in self.read(request.prompt.ids)
            for _ in range(50 if held_up else 1):
                await asyncio.sleep(0)
            seen.append((request.prompt.role, held_up))
            return await super().sample(request)

    sampler = Late(lambda prompt, text, index: script[prompt.role], read=renderer.show)
    config = with_game(masks_per_document=1)
    asyncio.run(play_all([slow, DOCUMENT], 7, sampler, renderer, config))
    assert seen.index(("revise", False)) < seen.index(("pose", True))


def test_a_document_without_a_span_is_an_empty_game(renderer) -> None:
    bare = Document("bare", "and so it was, and so it is, and so it will be", "here")
    mute = ScriptedSampler(lambda *_: "and", read=renderer.show)
    played = asyncio.run(play(bare, 0, mute, renderer, CONFIG))
    assert played.episode.tasks == ()
    assert played.episode.attempts == played.episode.reviews == played.episode.revisions == ()
    assert mute.roles == ["pose"] * 3  # the first try, two resamples
