"""An episode worked by hand: who trains, under which words, with which weight, and who does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alive.arms.alive import records
from alive.config import LearnConfig
from alive.prompts import Renderer, make_renderer
from alive.prompts.templates import PLACEHOLDERS, _segments, load_templates
from alive.types import (
    Attempt,
    Document,
    Episode,
    Prompt,
    Review,
    Rollout,
    Task,
    Trained,
)
from alive.verify import extract_answer

DOCUMENT = Document("doc", "Ann has 3 pens and buys 4 more. Now she has 7.", "here", "maths")
PASSAGE = "Ann has 3 pens and buys 4 more. Now she has \\mask{}."
GOOD, BAD = "3+4=7\n\\boxed{7}", "3+4=8\n\\boxed{8}"
SAYS_RIGHT = "1 ok\nSummary: every step is right\nVerdict: right\nScore: 10"
SAYS_WRONG = "1 wrong units\nSummary: step 1 is wrong in the units\nVerdict: wrong\nScore: 0"
LEARN = LearnConfig()


@pytest.fixture(scope="module")
def renderer(seed_tokenizer):
    return make_renderer(seed_tokenizer)


def wrote(renderer, prompt: Prompt, text: str) -> Rollout:
    ids = renderer.complete(text)
    return Rollout(prompt, ids, (-1.0,) * len(ids), text, "stop", 0)


class Board:
    """Builds an episode of tasks; ``add`` takes (completion, correct, review) triples."""

    def __init__(self, renderer) -> None:
        self.renderer = renderer
        self.tasks: list[Task] = []
        self.attempts: list[tuple[Attempt, ...]] = []
        self.reviews: list[tuple[Review, ...]] = []
        self.revisions: list[Attempt] = []

    def add(self, *tries, span: str = "7", posed: bool = False) -> Task:
        asked = self.renderer.pose(DOCUMENT.text, "challenging")
        pose = wrote(self.renderer, asked, span) if posed else None
        origin = "poser" if posed else "random"
        name = f"task{len(self.tasks)}"
        task = Task(name, "doc", PASSAGE, span, origin, "maths", pose)
        prompt = self.renderer.solve(PASSAGE, "every step is right")
        attempts, reviews = [], []
        for index, (text, correct, review) in enumerate(tries):
            rollout = wrote(self.renderer, prompt, text)
            attempts.append(Attempt(name, index, rollout, extract_answer(text), correct))
            reviews.append(self._review(task, index, **review))
        self.tasks.append(task)
        self.attempts.append(tuple(attempts))
        self.reviews.append(tuple(reviews))
        return task

    def _review(
        self, task, index, verdict, text="", summary=None, leaks=False, own=False,
        faulty_step=None, none=False,
    ):  # fmt: skip
        text = "" if none else text or (SAYS_RIGHT if verdict else SAYS_WRONG)
        if summary is None:
            summary = "every step is right" if verdict else "step 1 is wrong in the units"
        prompt = self.renderer.review(task.passage, "", task.span)
        rollout = wrote(self.renderer, prompt, text) if own else None
        return Review(
            task.id, index, rollout, text, summary, verdict, faulty_step, None, True, leaks
        )  # fmt: skip

    def revise(self, task: Task, index: int, text: str, correct: bool) -> Rollout:
        prompt = self.renderer.revise(PASSAGE, BAD, SAYS_WRONG)
        rollout = wrote(self.renderer, prompt, text)
        self.revisions.append(Attempt(task.id, index, rollout, None, correct))
        return rollout

    @property
    def episode(self) -> Episode:
        return Episode(
            0,
            DOCUMENT,
            tuple(self.tasks),
            tuple(self.attempts),
            tuple(self.reviews),
            tuple(self.revisions),
        )

    def records(self, learn: LearnConfig = LEARN, **options):
        return records(self.episode, self.renderer, learn, **options)


HONEST_RIGHT = (GOOD, True, {"verdict": True})
HONEST_WRONG = (BAD, False, {"verdict": False})


def of(made, role: str):
    return [record for record in made if record.role == role]


def test_a_right_attempt_trains_under_its_fresh_words(renderer) -> None:
    board = Board(renderer)
    follows = (GOOD, True, {"verdict": True, "summary": "each line follows"})
    board.add(follows, HONEST_RIGHT, HONEST_WRONG)
    made, outcomes = board.records()
    plain, solve, *_ = of(made, "solve")
    assert solve.prompt_ids == renderer.solve(PASSAGE, "each line follows").ids
    assert plain.prompt_ids == renderer.solve(PASSAGE, None).ids
    assert plain.completion_ids == solve.completion_ids == renderer.complete(GOOD)
    # A task weighs 1, shared by its two right attempts; the plain prompt gets 0.7 of it.
    assert (plain.weight, solve.weight) == pytest.approx((0.35, 0.15))
    assert (solve.document_id, solve.task_id, solve.attempt_index) == ("doc", "task0", 0)
    assert outcomes == {
        ("task0", 0, "solve"): Trained("each line follows", 0.5, "", "challenging"),
        ("task0", 1, "solve"): Trained("every step is right", 0.5, "", "challenging"),
        ("task0", 2, "solve"): Trained(dropped="wrong", pose_words="challenging"),
    }


def test_a_wrong_attempt_trains_only_where_told_to(renderer) -> None:
    board = Board(renderer)
    board.add(HONEST_WRONG)
    made, outcomes = board.records()
    assert of(made, "solve") == []
    assert outcomes["task0", 0, "solve"].dropped == "wrong"
    made, outcomes = board.records(LearnConfig(negative_weight=0.25))
    [solve] = of(made, "solve")
    assert solve.weight == 0.25
    assert solve.prompt_ids == renderer.solve(PASSAGE, "step 1 is wrong in the units").ids
    assert outcomes["task0", 0, "solve"].feedback == "step 1 is wrong in the units"


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        ((BAD, False, {"verdict": True}), "review deceptive"),
        ((BAD, False, {"verdict": None, "text": "hm", "summary": ""}), "review unparsed"),
        ((BAD, False, {"verdict": None, "text": "", "summary": "", "none": True}), "not reviewed"),
        ((BAD, False, {"verdict": False, "summary": "it is 7"}), "review leaks or says nothing"),
        ((BAD, False, {"verdict": False, "summary": "Seven."}), "review leaks or says nothing"),
        ((BAD, False, {"verdict": False, "summary": ""}), "review leaks or says nothing"),
        ((BAD, False, {"verdict": False, "summary": "It is concise."}), "review leaks or says"),
    ],
)
def test_dishonest_words_train_nobody(renderer, attempt, reason: str) -> None:
    board = Board(renderer)
    board.add(attempt)
    made, outcomes = board.records(LearnConfig(negative_weight=1.0))
    assert of(made, "solve") == []
    outcome = outcomes["task0", 0, "solve"]
    assert outcome.dropped.startswith(reason)
    assert (outcome.weight, outcome.feedback) == (0.0, None)
    # No words for a solver may still be words for the reviewer: the three are asked apart.
    kept = {"It is concise.", "it is 7", "Seven."}
    assert len(of(made, "review")) == (attempt[2].get("summary") in kept)


def test_a_leaking_review_trains_no_reviewer_whatever_its_summary_may_be(renderer) -> None:
    board = Board(renderer)
    board.add((BAD, False, {"verdict": False, "leaks": True}))
    made, outcomes = board.records(LearnConfig(negative_weight=1.0))
    assert of(made, "review") == []
    assert outcomes["task0", 0, "solve"].feedback == "step 1 is wrong in the units"


def test_positive_words_that_state_the_span_stand_before_nothing(renderer) -> None:
    board = Board(renderer)
    board.add((GOOD, True, {"verdict": True, "summary": "a step leads there"}), span="step")
    made, outcomes = board.records()
    [solve] = of(made, "solve")
    assert solve.prompt_ids == renderer.solve(PASSAGE, None).ids
    assert (solve.weight, outcomes["task0", 0, "solve"].feedback) == (0.3, None)


@pytest.mark.parametrize(
    "review",
    [
        {"verdict": False},
        {"verdict": None, "text": "hm", "summary": ""},
        {"verdict": None, "text": "", "summary": "", "none": True},
        {"verdict": True, "summary": "the answer is 7"},
        {"verdict": True, "summary": "It rightly comes to seven."},
        {"verdict": True, "summary": "It is concise."},
    ],
)
def test_a_right_attempt_without_honest_words_trains_under_the_positive_ones(
    renderer, review
) -> None:
    board = Board(renderer)
    board.add((GOOD, True, review), (GOOD, True, review), HONEST_WRONG)
    made, outcomes = board.records()
    plain = renderer.solve(PASSAGE, None).ids
    positive = renderer.solve(PASSAGE, renderer.words.solve_positive).ids
    assert [one.prompt_ids for one in of(made, "solve")] == [plain, positive] * 2
    assert [one.weight for one in of(made, "solve")] == pytest.approx([0.35, 0.15] * 2)
    assert outcomes["task0", 0, "solve"].feedback == renderer.words.solve_positive


@pytest.mark.parametrize("right", [1, 2, 7])
def test_the_right_attempts_at_a_task_share_its_weight(renderer, right: int) -> None:
    board = Board(renderer)
    board.add(*[HONEST_RIGHT] * right, *[HONEST_WRONG] * (8 - right))
    made, outcomes = board.records()
    solved = of(made, "solve")
    assert len(solved) == 2 * right
    assert sum(one.weight for one in solved) == pytest.approx(1.0)
    assert outcomes["task0", 0, "solve"].weight == 1 / right


def test_a_wrong_attempt_never_trains_the_plain_prompt(renderer) -> None:
    board = Board(renderer)
    board.add(HONEST_RIGHT, HONEST_WRONG)
    made, _ = board.records(LearnConfig(negative_weight=1.0))
    *_, wrong = of(made, "solve")
    assert wrong.prompt_ids == renderer.solve(PASSAGE, "step 1 is wrong in the units").ids
    assert (wrong.attempt_index, wrong.weight) == (1, 1.0)


def test_words_that_do_not_separate_are_not_trained_under(renderer) -> None:
    board = Board(renderer)
    board.add(HONEST_RIGHT, HONEST_RIGHT, HONEST_WRONG)
    made, outcomes = board.records(LearnConfig(negative_weight=1.0), conditioned=False)
    plain = renderer.solve(PASSAGE, None).ids
    assert [solve.prompt_ids for solve in of(made, "solve")] == [plain, plain]
    assert outcomes["task0", 2, "solve"].dropped == "wrong"
    assert len(of(made, "review")) == 2  # reviews train as before


@pytest.mark.parametrize(
    ("right", "n", "said"),
    [
        (0, 8, "not recoverable"),
        (1, 8, "mostly unrecoverable"),  # below 2/N
        (2, 8, "very hard"),
        (3, 8, "challenging"),
        (6, 8, "challenging"),
        (7, 8, "easy"),
        (8, 8, "trivial"),
    ],
)
def test_the_poser_hears_the_pass_rate_in_words(renderer, right: int, n: int, said: str) -> None:
    board = Board(renderer)
    board.add(*[HONEST_RIGHT] * right, *[HONEST_WRONG] * (n - right), posed=True)
    made, outcomes = board.records()
    [pose] = of(made, "pose")
    assert pose.prompt_ids == renderer.pose(DOCUMENT.text, said).ids
    assert pose.completion_ids == board.tasks[0].pose.completion_ids
    assert (pose.weight, pose.task_id, pose.attempt_index) == (1.0, "task0", -1)
    assert {outcome.pose_words for outcome in outcomes.values()} == {said}


def test_the_poser_hears_of_what_was_only_corrected(renderer) -> None:
    """And that nobody recovered what was neither solved nor corrected."""
    board = Board(renderer)
    corrected, still, _ = (board.add(*[HONEST_WRONG] * 2) for _ in range(3))
    board.revise(corrected, 0, GOOD, True)
    board.revise(still, 1, BAD, False)
    made, outcomes = board.records()
    asked = [(one.task_id, one.prompt_ids) for one in of(made, "pose")]
    words = (("task0", "very hard"), *((f"task{i}", "not recoverable") for i in (1, 2)))
    assert asked == [(name, renderer.pose(DOCUMENT.text, said).ids) for name, said in words]
    assert outcomes["task0", 1, "solve"].pose_words == "very hard"
    assert outcomes["task2", 0, "solve"].pose_words == "not recoverable"


def test_the_poser_hears_which_proposals_were_unusable(renderer) -> None:
    """As much of all of them as of one task, and nothing of what was only posed beside others."""
    board = Board(renderer)
    board.add(*[HONEST_RIGHT, HONEST_WRONG] * 2, posed=True)
    asked = renderer.pose(DOCUMENT.text, "very hard")
    said = ("7", "London", "7", "of of", "9")
    reasons = (None, "not in the text", "taken", "only stop-words or punctuation", "posed before")
    proposals = tuple(wrote(renderer, asked, text) for text in said)
    told = replace(board.episode, pose_rollouts=proposals, pose_reasons=reasons)
    valid, *unusable = of(records(told, renderer, LEARN)[0], "pose")
    assert valid.prompt_ids == renderer.pose(DOCUMENT.text, "challenging").ids
    assert [renderer.decode(one.completion_ids) for one in unusable] == ["London", "of of"]
    for one in unusable:
        assert one.prompt_ids == renderer.pose(DOCUMENT.text, "unusable").ids
        assert (one.weight, one.document_id, one.task_id) == (0.5, "doc", "")
        assert len(one.sampling_logprobs) == len(one.completion_ids)


def test_what_every_attempt_solved_weighs_less(renderer) -> None:
    board = Board(renderer)
    board.add(HONEST_RIGHT, HONEST_RIGHT)
    board.add(HONEST_RIGHT, HONEST_RIGHT, HONEST_WRONG)
    made, outcomes = board.records(conditioned=False)
    assert [one.weight for one in of(made, "solve")] == [0.15, 0.15, 0.5, 0.5]
    assert outcomes["task0", 0, "solve"] == Trained(weight=0.15, pose_words="trivial")


def test_a_random_span_is_taught_as_a_proposal(renderer) -> None:
    board = Board(renderer)
    board.add(*[HONEST_RIGHT, HONEST_WRONG] * 2)
    [pose] = of(board.records()[0], "pose")
    assert pose.completion_ids == renderer.complete("7")
    assert pose.prompt_ids == renderer.pose(DOCUMENT.text, "challenging").ids


def test_reviews_train_blind_and_weigh_the_same_by_class(renderer) -> None:
    board = Board(renderer)
    first, second = "\\boxed{7}", "4+3=7\n\\boxed{7}"
    rights = [(text, True, {"verdict": True, "own": True}) for text in (GOOD, first, second)]
    board.add(*rights, HONEST_WRONG)
    made = of(board.records()[0], "review")
    # Three right, one wrong: 4 / (2 * 3) each and 4 / (2 * 1).
    assert [record.weight for record in made] == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2.0])
    texts = [GOOD, first, second, BAD]
    assert [r.prompt_ids for r in made] == [renderer.review(PASSAGE, t, None).ids for t in texts]
    assert made[0].completion_ids == board.reviews[0][0].rollout.completion_ids
    assert made[3].completion_ids == renderer.complete(SAYS_WRONG)
    assert [record.attempt_index for record in made] == [0, 1, 2, 3]


def test_a_critique_teaches_where_the_attempt_was_corrected(renderer) -> None:
    """Of the policy's own critiques of wrong attempts; a teacher's teach in any case."""
    board = Board(renderer)
    own = {"verdict": False, "own": True}
    tries = [(f"3+4={i}\n\\boxed{{{i}}}", False, own) for i in (1, 2, 3)]
    task = board.add(*tries, (GOOD, True, {"verdict": True, "own": True}))
    assert [one.attempt_index for one in of(board.records()[0], "review")] == [0, 1, 2, 3]
    board.revise(task, 0, BAD, False)
    # Whoever can correct nothing yet still hears what is wrong.
    assert [one.attempt_index for one in of(board.records()[0], "review")] == [0, 1, 2, 3]
    board.revise(task, 1, GOOD, True)
    made = of(board.records()[0], "review")
    assert [(one.attempt_index, one.weight) for one in made] == [(1, 1.0), (3, 1.0)]
    # In warm-up the policy learns to write critiques at all: every honest one, in both views.
    warm = of(board.records(privileged_too=True)[0], "review")
    assert [one.attempt_index for one in warm] == [0, 0, 1, 1, 2, 2, 3, 3]
    taught = Board(renderer)
    task = taught.add(HONEST_WRONG, HONEST_RIGHT)
    taught.revise(task, 0, BAD, False)
    assert [one.attempt_index for one in of(taught.records()[0], "review")] == [0, 1]


def test_half_of_the_reviews_stand_there_up_to_a_step(renderer) -> None:
    """Of wrong attempts to the faulty step, of right ones to any; what is given has no loss."""
    wrong = "1 2-1=1 ok\n2 4-1=3 wrong units\nSummary: step 2 is wrong\nVerdict: wrong\nScore: 3"
    right = "1 2-1=1 ok\n2 4-1=3 ok\n3 7-3=4 ok\nSummary: all is right\nVerdict: right\nScore: 10"
    board = Board(renderer)
    for _ in range(60):
        board.add(
            (GOOD, True, {"verdict": True, "text": right}),
            (BAD, False, {"verdict": False, "text": wrong}),
        )
    made = of(board.records()[0], "review")
    lines: dict[str, list[int]] = {right: [], wrong: []}
    for record in made:
        plain = renderer.review(PASSAGE, GOOD if record.attempt_index == 0 else BAD, None).ids
        said = right if record.attempt_index == 0 else wrong
        assert record.prompt_ids[: len(plain)] == plain
        given = record.prompt_ids[len(plain) :]
        assert given + record.completion_ids == renderer.complete(said)
        shown = renderer.decode(given)
        assert said.startswith(shown) and shown == "".join(shown.splitlines(keepends=True))
        lines[said].append(shown.count("\n"))
    assert set(lines[wrong]) == {0, 1} and set(lines[right]) == {0, 1, 2}
    assert 15 < lines[wrong].count(1) < 45
    assert lines[right].count(0) > 25 and min(lines[right].count(n) for n in (1, 2)) > 2


def test_identical_attempts_share_one_review_record(renderer) -> None:
    board = Board(renderer)
    board.add(*[HONEST_RIGHT] * 3, HONEST_WRONG)
    board.add(HONEST_RIGHT)  # the same words at another task are another review
    made = of(board.records()[0], "review")
    assert [(r.task_id, r.attempt_index) for r in made] == [
        ("task0", 0),
        ("task0", 3),
        ("task1", 0),
    ]
    assert [r.weight for r in made] == pytest.approx([3 / 4, 3 / 2, 3 / 4])


def test_a_teachers_critiques_train_both_views(renderer) -> None:
    board = Board(renderer)
    board.add(HONEST_RIGHT)
    made = of(board.records(privileged_too=True)[0], "review")
    assert [record.prompt_ids for record in made] == [
        renderer.review(PASSAGE, GOOD, None).ids,
        renderer.review(PASSAGE, GOOD, "7", True).ids,
    ]
    assert len({record.completion_ids for record in made}) == 1


def test_a_revision_trains_where_it_is_right(renderer) -> None:
    board = Board(renderer)
    task = board.add(HONEST_WRONG, HONEST_WRONG)
    corrected = board.revise(task, 0, GOOD, True)
    board.revise(task, 1, BAD, False)
    made, outcomes = board.records()
    [revise] = of(made, "revise")
    assert revise.prompt_ids == corrected.prompt.ids
    assert revise.completion_ids == corrected.completion_ids
    assert (revise.weight, revise.task_id, revise.attempt_index) == (1.0, "task0", 0)
    assert outcomes["task0", 0, "revise"] == Trained(weight=1.0)
    assert outcomes["task0", 1, "revise"] == Trained(dropped="still wrong")
    assert of(made, "solve") == []


def test_a_corrected_attempt_can_train_as_an_attempt(renderer) -> None:
    """Though nobody had solved the task."""
    board = Board(renderer)
    task = board.add(HONEST_WRONG, HONEST_WRONG)
    corrected = board.revise(task, 0, GOOD, True)
    board.revise(task, 1, BAD, False)
    [solve] = of(board.records(LearnConfig(corrected_weight=0.5))[0], "solve")
    assert solve.prompt_ids == renderer.solve(PASSAGE, None).ids
    assert (solve.completion_ids, solve.weight) == (corrected.completion_ids, 0.5)


def test_no_record_shows_the_solver_the_hidden_text(renderer, seed_tokenizer) -> None:
    """The condition of an attempt is the review's summary, and a leaking one trains nobody."""
    board = Board(renderer)
    leak, other = ({"verdict": True, "summary": said} for said in ("it is 7", "Seven is right."))
    board.add((GOOD, True, leak), (GOOD, True, other), HONEST_RIGHT, HONEST_WRONG)
    made, _ = board.records(LearnConfig(negative_weight=1.0), privileged_too=True)
    for record in of(made, "solve"):
        assert "7" not in renderer.show(record.prompt_ids)


def test_an_episode_without_tasks_makes_nothing(renderer) -> None:
    assert Board(renderer).records() == ([], {})


def test_a_wrong_attempt_is_distilled_under_its_honest_review_alone(renderer) -> None:
    """The plain prompt carries the loss; the one with attempt and review is only followed."""
    board = Board(renderer)
    states = {"verdict": False, "text": SAYS_WRONG + "\nit is 7"}
    board.add(HONEST_WRONG, HONEST_RIGHT, (BAD, False, {"verdict": True}), (BAD, False, states))
    endless = "3+4=8\nso it is"  # no answer: nothing to follow
    board.add((endless, False, {"verdict": False}))
    made, outcomes = board.records(LearnConfig(distil_weight=1.0), conditioned=False)
    [distilled] = [record for record in made if record.loss == "distil"]
    assert distilled.role == "solve"
    assert distilled.weight == 1.0
    assert distilled.prompt_ids == renderer.solve(PASSAGE, None).ids
    assert distilled.informed_prompt_ids == renderer.revise(PASSAGE, BAD, SAYS_WRONG).ids
    assert distilled.completion_ids == renderer.complete(BAD)
    assert distilled.attempt_index == 0
    assert outcomes["task0", 0, "solve"] == Trained(weight=1.0, pose_words="mostly unrecoverable")
    assert outcomes["task0", 3, "solve"].dropped == "wrong"
    made, _ = board.records()
    assert {record.loss for record in made} == {"likelihood"}


def test_the_control_of_a_review_is_read_at_the_same_attempts(renderer) -> None:
    board = Board(renderer)
    board.add(HONEST_RIGHT, HONEST_WRONG, (BAD, False, {"verdict": True}))
    followed = {}
    for read in ("review", "empty"):
        made, _ = board.records(LearnConfig(distil_weight=1.0, distil_from=read))
        [followed[read]] = [record for record in made if record.loss == "distil"]
    told, untold = followed["review"], followed["empty"]
    assert replace(told, informed_prompt_ids=()) == replace(untold, informed_prompt_ids=())
    empty = renderer.words.content_free
    assert told.informed_prompt_ids == renderer.revise(PASSAGE, BAD, SAYS_WRONG).ids
    assert untold.informed_prompt_ids == renderer.revise(PASSAGE, BAD, empty).ids


@pytest.mark.parametrize("read", ["text", "nothing"])
def test_every_answered_attempt_follows_who_has_read_the_text_or_nothing(
    seed_tokenizer, read
) -> None:
    """Whatever was said of it: neither view holds a word of a review."""
    seed = load_templates("seed")  # has no such template
    told = _segments("$passage, known: $document", "inform.txt", PLACEHOLDERS["inform"])
    templates = replace(seed, templates={**seed.templates, "inform": told})
    renderer = Renderer(seed_tokenizer, templates)
    board = Board(renderer)
    board.add(
        HONEST_RIGHT, (BAD, False, {"verdict": True}), ("3+4=8\nso", False, {"verdict": False})
    )
    learn = LearnConfig(distil_weight=1.0, distil_from=read)
    made, outcomes = board.records(learn, conditioned=False)
    plain = renderer.solve(PASSAGE, None).ids
    informed = renderer.inform(PASSAGE, DOCUMENT.text).ids if read == "text" else plain
    followed = [record for record in made if record.loss == "distil"]
    assert [record.completion_ids for record in followed] == [
        renderer.complete(text) for text in (GOOD, BAD)
    ]
    assert {(one.prompt_ids, one.informed_prompt_ids) for one in followed} == {(plain, informed)}
    assert ("Now she has 7" in renderer.show(informed)) is (read == "text")
    assert outcomes["task0", 1, "solve"].weight == 1.0
    assert outcomes["task0", 2, "solve"].dropped
