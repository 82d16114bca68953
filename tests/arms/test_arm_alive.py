"""An episode worked by hand: who trains, under which words, with which weight, and who does not."""

from __future__ import annotations

import pytest

from alive.arms.alive import records
from alive.config import LearnConfig
from alive.prompts import make_renderer
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

DOCUMENT = Document("doc", "Ann has 3 pens and buys 4 more. Now she has 7.", "here", "maths")
PASSAGE = "Ann has 3 pens and buys 4 more. Now she has \\mask{}."
GOOD, BAD = "3+4=7\n\\boxed{7}", "3+4=8\n\\boxed{8}"
SAYS_RIGHT = "1 ok\nSummary: every step is right\nVerdict: right\nScore: 10"
SAYS_WRONG = "1 wrong units\nSummary: step 1 is wrong in the units\nVerdict: wrong\nScore: 0"
WORDED = LearnConfig(plain_share=0.0)


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
            attempts.append(Attempt(name, index, rollout, None, correct))
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

    def records(self, learn: LearnConfig = WORDED, **options):
        return records(self.episode, self.renderer, learn, **options)


HONEST_RIGHT = (GOOD, True, {"verdict": True})
HONEST_WRONG = (BAD, False, {"verdict": False})


def of(made, role: str):
    return [record for record in made if record.role == role]


def test_a_right_attempt_trains_under_its_fresh_words(renderer) -> None:
    board = Board(renderer)
    board.add((GOOD, True, {"verdict": True, "summary": "each line follows"}), HONEST_RIGHT)
    made, fates = board.records()
    solve, _ = of(made, "solve")
    assert solve.prompt_ids == renderer.solve(PASSAGE, "each line follows").ids
    assert solve.completion_ids == renderer.complete(GOOD)
    assert solve.weight == 0.5  # the task weighs 1, shared by its two right attempts
    assert (solve.document_id, solve.task_id, solve.attempt_index) == ("doc", "task0", 0)
    assert fates == {
        ("task0", 0, "solve"): Trained("each line follows", 0.5, "", "trivial"),
        ("task0", 1, "solve"): Trained("every step is right", 0.5, "", "trivial"),
    }


def test_a_wrong_attempt_trains_only_where_told_to(renderer) -> None:
    board = Board(renderer)
    board.add(HONEST_WRONG)
    made, fates = board.records()
    assert of(made, "solve") == []
    assert fates["task0", 0, "solve"].dropped == "wrong"
    made, fates = board.records(LearnConfig(plain_share=0.0, negative_weight=0.25))
    [solve] = of(made, "solve")
    assert solve.weight == 0.25
    assert solve.prompt_ids == renderer.solve(PASSAGE, "step 1 is wrong in the units").ids
    assert fates["task0", 0, "solve"].feedback == "step 1 is wrong in the units"


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        ((BAD, False, {"verdict": True}), "review deceptive"),
        ((BAD, False, {"verdict": None, "text": "hm", "summary": ""}), "review unparsed"),
        ((BAD, False, {"verdict": None, "text": "", "summary": "", "none": True}), "not reviewed"),
        ((BAD, False, {"verdict": False, "leaks": True}), "review leaks or says nothing"),
        ((BAD, False, {"verdict": False, "summary": ""}), "review leaks or says nothing"),
        ((BAD, False, {"verdict": False, "summary": "It is concise."}), "review leaks or says"),
    ],
)
def test_dishonest_words_train_nobody(renderer, attempt, reason: str) -> None:
    board = Board(renderer)
    board.add(attempt)
    made, fates = board.records(LearnConfig(negative_weight=1.0, locate_weight=1.0))
    assert of(made, "solve") == []
    fate = fates["task0", 0, "solve"]
    assert fate.dropped.startswith(reason)
    assert (fate.weight, fate.feedback) == (0.0, None)
    # Words on length may still teach the reviewer: they are honest.
    assert len(of(made, "review")) == (attempt[2].get("summary") == "It is concise.")


@pytest.mark.parametrize(
    "review",
    [
        {"verdict": False},
        {"verdict": None, "text": "hm", "summary": ""},
        {"verdict": None, "text": "", "summary": "", "none": True},
        {"verdict": True, "summary": "the answer is 7", "leaks": True},
        {"verdict": True, "summary": "It is concise."},
    ],
)
def test_a_right_attempt_without_honest_words_trains_under_the_positive_ones(
    renderer, review
) -> None:
    board = Board(renderer)
    board.add((GOOD, True, review), (GOOD, True, review))
    made, fates = board.records()
    positive = renderer.solve(PASSAGE, renderer.words.solve_positive).ids
    assert [(one.prompt_ids, one.weight) for one in of(made, "solve")] == [(positive, 0.5)] * 2
    assert fates["task0", 0, "solve"].feedback == renderer.words.solve_positive


@pytest.mark.parametrize(("right", "trained"), [(1, 0), (2, 2), (7, 7), (8, 8)])
def test_one_right_answer_in_n_may_be_luck(renderer, right: int, trained: int) -> None:
    board = Board(renderer)
    board.add(*[HONEST_RIGHT] * right, *[HONEST_WRONG] * (8 - right))
    made, fates = board.records()
    assert len(of(made, "solve")) == trained
    first = fates["task0", 0, "solve"]
    assert first.dropped == ("" if trained else "luck")
    assert first.pose_words == ("mostly unrecoverable" if right == 1 else first.pose_words)
    # What it was right or wrong about still teaches the reviewer.
    assert len(of(made, "review")) == (1 if right == 8 else 2)


def test_a_right_attempt_teaches_the_plain_prompt_its_share(renderer) -> None:
    board = Board(renderer)
    board.add(HONEST_RIGHT, HONEST_RIGHT, HONEST_WRONG)
    plain, worded, blamed = (
        renderer.solve(PASSAGE, words).ids
        for words in (None, "every step is right", "step 1 is wrong in the units")
    )

    def solved(share: float):
        made, fates = board.records(LearnConfig(plain_share=share, negative_weight=1.0))
        # A wrong attempt never trains the plain prompt.
        *right, wrong = [(one.prompt_ids, one.weight) for one in of(made, "solve")]
        assert wrong == (blamed, 1.0)
        return right, fates["task0", 0, "solve"]

    assert solved(0.0) == (
        [(worded, 0.5)] * 2,
        Trained("every step is right", 0.5, "", "challenging"),
    )
    assert solved(1.0) == ([(plain, 0.5)] * 2, Trained(None, 0.5, "", "challenging"))
    both = [(plain, 0.375), (worded, 0.125)] * 2
    assert solved(0.75) == (both, Trained("every step is right", 0.5, "", "challenging"))


def test_words_that_do_not_separate_are_not_trained_under(renderer) -> None:
    board = Board(renderer)
    board.add(HONEST_RIGHT, HONEST_RIGHT, HONEST_WRONG)
    learn = LearnConfig(plain_share=0.0, negative_weight=1.0)
    made, fates = board.records(learn, conditioned=False)
    plain = renderer.solve(PASSAGE, None).ids
    assert [solve.prompt_ids for solve in of(made, "solve")] == [plain, plain]
    assert fates["task0", 2, "solve"].dropped == "wrong"
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
    made, fates = board.records()
    [pose] = of(made, "pose")
    assert pose.prompt_ids == renderer.pose(DOCUMENT.text, said).ids
    assert pose.completion_ids == board.tasks[0].pose.completion_ids
    assert (pose.weight, pose.task_id, pose.attempt_index) == (1.0, "task0", -1)
    assert {fate.pose_words for fate in fates.values()} == {said}


def test_the_poser_hears_of_what_only_a_review_mended(renderer) -> None:
    """And nothing of what was neither solved nor revised while others were."""
    board = Board(renderer)
    mended, still, _ = (board.add(*[HONEST_WRONG] * 2) for _ in range(3))
    board.revise(mended, 0, GOOD, True)
    board.revise(still, 1, BAD, False)
    made, fates = board.records()
    asked = [(one.task_id, one.prompt_ids) for one in of(made, "pose")]
    words = (("task0", "very hard"), ("task1", "not recoverable"))
    assert asked == [(name, renderer.pose(DOCUMENT.text, said).ids) for name, said in words]
    assert fates["task0", 1, "solve"].pose_words == "very hard"
    assert fates["task2", 0, "solve"].pose_words == ""


@pytest.mark.parametrize("weight", [0.0, 0.25])
def test_what_every_attempt_solved_can_weigh_less(renderer, weight: float) -> None:
    board = Board(renderer)
    board.add(HONEST_RIGHT, HONEST_RIGHT)
    board.add(HONEST_RIGHT, HONEST_RIGHT, HONEST_WRONG)
    learn = LearnConfig(plain_share=0.0, trivial_weight=weight)
    made, fates = board.records(learn)
    trivial = [weight / 2] * 2 if weight else []
    assert [one.weight for one in of(made, "solve")] == [*trivial, 0.5, 0.5]
    assert fates["task0", 0, "solve"].dropped == ("" if weight else "trivial")


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


def test_a_critique_teaches_by_what_it_mended(renderer) -> None:
    """Of the policy's own critiques of wrong attempts; a teacher's teach in any case."""
    board = Board(renderer)
    own = {"verdict": False, "own": True}
    tries = [(f"3+4={i}\n\\boxed{{{i}}}", False, own) for i in (1, 2, 3)]
    task = board.add(*tries, (GOOD, True, {"verdict": True, "own": True}))
    assert [one.attempt_index for one in of(board.records()[0], "review")] == [0, 1, 2, 3]
    board.revise(task, 0, BAD, False)
    board.revise(task, 1, GOOD, True)
    made = of(board.records()[0], "review")
    assert [(one.attempt_index, one.weight) for one in made] == [(1, 1.0), (3, 1.0)]
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


def test_a_revision_trains_where_it_mended_something(renderer) -> None:
    board = Board(renderer)
    task = board.add(HONEST_WRONG, HONEST_WRONG)
    mended = board.revise(task, 0, GOOD, True)
    board.revise(task, 1, BAD, False)
    made, fates = board.records()
    [revise] = of(made, "revise")
    assert revise.prompt_ids == mended.prompt.ids
    assert revise.completion_ids == mended.completion_ids
    assert (revise.weight, revise.task_id, revise.attempt_index) == (1.0, "task0", 0)
    assert fates["task0", 0, "revise"] == Trained(weight=1.0)
    assert fates["task0", 1, "revise"] == Trained(dropped="still wrong")
    assert of(made, "solve") == []


def test_a_repaired_attempt_can_train_as_an_attempt(renderer) -> None:
    """Though nobody had solved the task."""
    board = Board(renderer)
    task = board.add(HONEST_WRONG, HONEST_WRONG)
    mended = board.revise(task, 0, GOOD, True)
    board.revise(task, 1, BAD, False)
    [solve] = of(board.records(LearnConfig(repair_weight=0.5))[0], "solve")
    assert solve.prompt_ids == renderer.solve(PASSAGE, None).ids
    assert (solve.completion_ids, solve.weight) == (mended.completion_ids, 0.5)


def test_what_was_right_before_the_first_fault_trains_as_right(renderer) -> None:
    text = "3+4=7\n7+1=8\n8-2=5\n\\boxed{5}"
    named = {"verdict": False, "faulty_step": 3}
    board = Board(renderer)
    board.add((text, False, named), (BAD, False, {"verdict": False, "faulty_step": 1}))
    made, fates = board.records(LearnConfig(locate_weight=0.5))
    [solve] = of(made, "solve")
    assert solve.prompt_ids == renderer.solve(PASSAGE, None).ids
    assert renderer.decode(solve.completion_ids) == "3+4=7\n7+1=8\n"
    assert solve.weight == 0.25  # locate_weight / N
    assert fates["task0", 0, "solve"] == Trained(weight=0.25, pose_words="not recoverable", lines=2)
    assert fates["task0", 1, "solve"].dropped == "wrong"
    made, fates = board.records(LearnConfig(locate_weight=0.0))
    assert of(made, "solve") == []
    # A review that calls a right attempt wrong locates nothing.
    board = Board(renderer)
    board.add((text, True, named), (text, True, named))
    made, fates = board.records(LearnConfig(plain_share=1.0, locate_weight=1.0))
    assert [one.completion_ids for one in of(made, "solve")] == [renderer.complete(text)] * 2
    assert fates["task0", 0, "solve"].lines == 0


def test_no_record_shows_the_solver_the_hidden_text(renderer, seed_tokenizer) -> None:
    """The condition of an attempt is the review's summary, and a leaking one trains nobody."""
    board = Board(renderer)
    leak = {"verdict": True, "summary": "it is 7", "leaks": True}
    board.add((GOOD, True, leak), HONEST_RIGHT, HONEST_WRONG)
    made, _ = board.records(LearnConfig(negative_weight=1.0), privileged_too=True)
    for record in of(made, "solve"):
        assert "7" not in renderer.show(record.prompt_ids)


def test_an_episode_without_tasks_makes_nothing(renderer) -> None:
    assert Board(renderer).records() == ([], {})
