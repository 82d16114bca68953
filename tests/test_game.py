"""One document's game with a scripted policy: who is asked what, in which order and how."""

from __future__ import annotations

import pytest
from fakes import ScriptedSampler

from alive.config import Config, GameConfig, SamplingConfig
from alive.game import _hardest, play
from alive.prompts import make_renderer
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
            return f"\\boxed{{{span if index % 2 else 99 + index}}}"
        if prompt.role == "review":
            return RIGHT if f"\\boxed{{{span}}}" in text else WRONG
        return f"\\boxed{{{span}}}"

    return ScriptedSampler(script, read=renderer.show)


@pytest.fixture
def game(sampler, renderer):
    def of_one(**more):
        return play([DOCUMENT], 7, sampler, renderer, CONFIG, **more)[0]

    return of_one


def test_a_whole_game(game, sampler, renderer) -> None:
    stages: list[str] = []
    played = game(stage=stages.append)
    episode = played.episode
    assert stages == ["pose", "solve", "review", "revise"]
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
    assert [call[0][0].role for call in sampler.calls] == ["pose", "solve", "review", "revise"]


def test_each_role_gets_its_own_limits_and_seed(game, sampler) -> None:
    game()
    params = [
        (call[2].max_new_tokens, call[2].temperature, call[2].top_p) for call in sampler.calls
    ]
    assert params == [(3, 1.0, 0.9), (20, 1.0, 0.9), (30, 0.0, 1.0), (20, 1.0, 0.9)]
    assert len({call[3] for call in sampler.calls}) == 4


def test_attempts_come_under_the_positive_words_where_they_are_trusted(game, sampler) -> None:
    game()
    assert {prompt.condition for prompt in sampler.calls[1][0]} == {"every step is right"}
    sampler.calls.clear()
    game(conditioned=False)
    assert {prompt.condition for prompt in sampler.calls[1][0]} == {None}
    assert {prompt.condition for prompt in sampler.calls[0][0]} == {"very hard"}


def test_some_attempts_can_be_made_without_the_words(sampler, renderer) -> None:
    game = CONFIG.game.model_copy(update={"plain_attempts": 1})
    config = CONFIG.model_copy(update={"game": game})
    [played] = play([DOCUMENT], 7, sampler, renderer, config)
    calls = [call for call in sampler.calls if call[0][0].role == "solve"]
    assert [(call[0][0].condition, call[1]) for call in calls] == [
        ("every step is right", 3),
        (None, 1),
    ]
    assert calls[0][3] != calls[1][3]
    for attempts in played.episode.attempts:
        asked = [attempt.rollout.prompt.condition for attempt in attempts]
        assert asked == ["every step is right"] * 3 + [None]
        assert [attempt.index for attempt in attempts] == [0, 1, 2, 3]
    sampler.calls.clear()
    play([DOCUMENT], 7, sampler, renderer, config, conditioned=False)
    [call] = [call for call in sampler.calls if call[0][0].role == "solve"]
    assert (call[0][0].condition, call[1]) == (None, 4)


def test_identical_attempts_are_reviewed_once(game, sampler) -> None:
    game()
    roles = {call[0][0].role: call for call in sampler.calls}
    assert len(roles["review"][0]) == 6  # per task 99, 101 and the right answer


def test_some_attempts_can_be_left_without_a_review(sampler, renderer) -> None:
    game = CONFIG.game.model_copy(update={"reviews_per_document": 4})
    config = CONFIG.model_copy(update={"game": game})
    for episode in (one.episode for one in play([DOCUMENT] * 2, 7, sampler, renderer, config)):
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
    assert _hardest(groups, most) == sorted({*chosen, *alike})


def test_right_attempts_are_reviewed_beside_wrong_ones_alone() -> None:
    assert _hardest(of_texts("ABcD", "EFGH"), 8) == [0, 2]
    assert _hardest(of_texts("ABCD", "EFGH"), 8) == []
    assert _hardest(of_texts("abcd", "efgh"), 3) == [0, 1, 4]


def test_an_arm_without_reviews_ends_after_its_attempts(game, sampler) -> None:
    episode = game(reviewed=False).episode
    assert len(episode.attempts) == 2
    assert episode.reviews == episode.revisions == ()
    assert [call[0][0].role for call in sampler.calls] == ["pose", "solve"]


def test_a_teacher_writes_the_reviews_instead(game, sampler) -> None:
    seen = []

    def critic(tasks, attempts):
        seen.append((len(tasks), len(attempts)))
        return [from_text(t, a, RIGHT) for t, a in zip(tasks, attempts, strict=True)]

    episode = game(critic=critic).episode
    assert seen == [(8, 8)]
    assert "review" not in [call[0][0].role for call in sampler.calls]
    assert all(review.rollout is None for group in episode.reviews for review in group)
    # Called right, though wrong: a deceptive review is nothing to revise by.
    assert episode.revisions == ()


def test_revisions_follow_the_setting(game, sampler, renderer) -> None:
    for count, expected in ((0, 0), (1, 2), (2, 4), (9, 4)):
        update = {"revisions_per_mask": count}
        config = CONFIG.model_copy(update={"game": CONFIG.game.model_copy(update=update)})
        episode = play([DOCUMENT], 7, sampler, renderer, config)[0].episode
        assert len(episode.revisions) == expected
        assert len({(r.task_id, r.index) for r in episode.revisions}) == expected


def test_memory_and_guesses_reach_the_poser(game) -> None:
    first = game().episode
    again = game(memory={task.id for task in first.tasks})
    assert not {task.span for task in again.episode.tasks} & {"12", "3"}
    assert again.refused == {"posed before": 6}
    guessed = game(guesses=("12",))
    assert "12" not in {task.span for task in guessed.episode.tasks}
    assert guessed.refused["guessable"] >= 1


def test_the_same_step_is_the_same_game_and_another_is_not(game, sampler, renderer) -> None:
    assert game() == game()
    seeds = [call[3] for call in sampler.calls]
    assert seeds[:4] == seeds[4:]
    play([DOCUMENT], 8, sampler, renderer, CONFIG)
    assert not set(seeds) & {call[3] for call in sampler.calls[8:]}


def test_a_document_without_a_span_is_an_empty_game(sampler, renderer) -> None:
    bare = Document("bare", "and so it was, and so it is, and so it will be", "here")
    mute = ScriptedSampler(lambda *_: "and", read=renderer.show)
    (played,) = play([bare], 0, mute, renderer, CONFIG)
    assert played.episode.tasks == ()
    assert played.episode.attempts == played.episode.reviews == played.episode.revisions == ()
    assert [call[0][0].role for call in mute.calls] == ["pose"] * 3  # the first try, two resamples
