"""What the charts count, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alive.report.charts import accuracy, self_correction
from alive.report.curves import over_time
from alive.report.drawing import binned, draw
from alive.report.gather import Run
from alive.report.judging import calibration, roc
from alive.report.page import Card, _cards
from alive.report.text import Line, Part, clip, lines_of, passage_parts, rate_class


def evaluation(**result: Any) -> dict[str, Any]:
    return {"result": {"n": 4, "domains": {}, **result}, "rows": [], "judged": []}


def run_of(**changes: Any) -> Run:
    given = {
        "path": Path("run"),
        "status": "finished",
        "config": {
            "steps": 2,
            "game": {"solutions_per_mask": 4},
            "model": {"id": "mine"},
            "corpus": {"paths": ["notes"]},
            "evaluate": {"suites": ["questions.jsonl"]},
            "sampling": {"solve_tokens": 96},
        },
        "environment": {},
        "metrics": (),
        "journal": (),
        "before": None,
        "after": None,
        "summary": None,
    }
    return Run(**(given | changes))


def judged(*pairs: tuple[float | None, bool]) -> list[dict[str, Any]]:
    return [{"score": score, "correct": right, "verdict": None} for score, right in pairs]


def test_the_table_of_accuracies_has_their_intervals() -> None:
    half = {"accuracy": 0.5, "accuracy_interval": [0.25, 0.75]}
    before = evaluation(domains={"maths": half}, **half)
    chart = accuracy(run_of(before=before), "accuracy", "greedy")
    assert chart is not None
    assert chart.head == ("domain", "before")
    assert chart.rows == (("maths", "50.0 [25.0, 75.0]"), ("all", "50.0 [25.0, 75.0]"))
    assert accuracy(run_of(before=before), "sampled_accuracy", "sampled") is None


def test_the_cards_say_what_was_cut_and_boxed() -> None:
    before, after = evaluation(cut=0.375, boxed=0.5), evaluation(cut=0.0, boxed=1.0)

    def shown(**evaluations: Any) -> list[Card]:
        return [card for card in _cards(run_of(**evaluations)) if card.label in ("cut", "boxed")]

    at_the_limit, answered = "of greedy attempts, at the token limit", "gave an answer"
    assert shown(before=before, after=after) == [
        Card("cut", "37.5\u00a0% → 0.0\u00a0%", at_the_limit),
        Card("boxed", "50.0\u00a0% → 100.0\u00a0%", f"of greedy attempts {answered}"),
    ]
    assert [card.value for card in shown(before=before)] == ["37.5\u00a0%", "50.0\u00a0%"]
    # A run of an earlier version, which did not count them, has no such cards.
    assert shown(before=evaluation(), after=evaluation()) == []


def test_self_correction_is_counted_from_both_sides() -> None:
    counted = {"n_right": 6, "n_wrong": 4, "corrected": 3, "harmed": 1}
    chart = self_correction(run_of(after=evaluation(self_correction=counted)))
    assert chart is not None
    assert dict(chart.rows) == {
        "right, stayed right": "5",
        "wrong, made right": "3",
        "right, made wrong": "1",
        "wrong, stayed wrong": "1",
    }


def test_the_area_under_the_roc_curve() -> None:
    # Right attempts score 9, 7, 1; wrong ones 8 and none. Of six pairs the right one is ahead in
    # three (9 over both, 7 over none, 1 over none: 9>8, 9>0, 7>0, 1>0): four of six.
    found = evaluation(reviewer={"tpr": 0.5, "fpr": 0.25, "j": 0.25})
    found["judged"] = judged((9, True), (7, True), (1, True), (8, False), (None, False))
    chart = roc(run_of(before=found))
    assert chart is not None
    assert chart.rows == (("before", "66.7 %", "50.0 %", "25.0 %", "25.0 %"),)
    found["judged"] = judged((9, True), (7, True))
    assert roc(run_of(before=found)) is None  # without wrong ones there is no curve


def test_calibration_groups_by_stated_score() -> None:
    found = evaluation()
    found["judged"] = judged((10, True), (9, True), (9, False), (1, False), (None, True))
    chart = calibration(run_of(after=found))
    assert chart is not None
    # 10, 9, 9 state 93 % and two of three are right; 1 states 10 %.
    assert chart.rows == (("after", "10 %", "0 %", "1"), ("after", "93 %", "67 %", "3"))


def metrics(step: int, solved: dict[str, int], **changes: Any) -> dict[str, Any]:
    base = {
        "step": step,
        "proposed": 3,
        "refused": {"too long": 1},
        "tasks": 6,
        "pass_rate": 0.5,
        "answered": 1.0,
        "cut": 0.0,
        "revisions": 0,
        "revisions_right": 0,
        "poser_utility": 0.25,
        "reviews_honest": 1.0,
        "reviews_unparsed": 0.0,
        "reviews_leaking": 0.0,
        "solved": solved,
        "loss_solve": 0.5,
    }
    return base | changes


def test_the_curves_say_the_same_in_their_tables() -> None:
    rows = (
        metrics(0, {"0": 1, "2": 1, "4": 2}),
        # The first is of an earlier version, which did not look at the words of its reviews.
        metrics(
            *(1, {"4": 4}), pass_rate=1.0, held_out=0.75, reviews_hollow=0.25, reviews_distinct=0.5
        )
        | {"words_shift_right": 0.0, "words_shift_revised": -0.125},
    )
    second = {"event": "step", "step": 0, "seconds": {"play": 1.5}, "memory": {"resident": 2e9}}
    charts = {chart.title: chart for chart in over_time(run_of(metrics=rows, journal=(second,)))}
    assert {row[0]: row[1:] for row in charts["Attempts"].rows} == {
        "right": ("50.00", "100.00"),
        "with an answer in a box": ("100.00", "100.00"),
        "cut at the token limit": ("0.00", "0.00"),
        "revisions right": ("-", "-"),
    }
    assert charts["Held-out problems, as it learns"].rows == (("right", "-", "75.00"),)
    poser = {row[0]: row[1] for row in charts["The poser"].rows}
    assert poser == {"valid masks": "75.00", "posed by the policy": "50.00", "utility": "25.00"}
    assert charts["Reviews"].rows == (
        ("honest", "100.00", "100.00"),
        ("unparsed", "0.00", "0.00"),
        ("leaking", "0.00", "0.00"),
        ("hollow", "-", "25.00"),
        ("distinct", "-", "50.00"),
    )
    hard = charts["How hard the tasks are"]
    assert hard.rows == (
        ("none", "25 %", "0 %"),
        ("1", "0 %", "0 %"),
        ("2", "25 %", "0 %"),
        ("3", "0 %", "0 %"),
        ("all", "50 %", "100 %"),
    )
    assert charts["Time by stage"].rows == (("play", "1.5"),)
    assert charts["Memory"].rows == (("process", "2.00", "-"),)
    assert charts["Losses"].rows == (("solve", "0.50", "0.50"),)
    assert list(over_time(run_of())) == []
    # Of wrong attempts nothing is known; that words change nothing is something.
    assert charts["What words change"].rows == (
        ("right attempts", "-", "0.00"),
        ("revisions", "-", "-0.12"),
    )
    older = {chart.title: chart for chart in over_time(run_of(metrics=rows[:1]))}
    assert "What words change" not in older
    assert older["Reviews"].rows[3:] == (("hollow", "-"), ("distinct", "-"))


def test_long_series_are_averaged_and_gaps_left_out() -> None:
    assert binned([1.0, 3.0, None, 5.0], most=2) == ([0.5, 3.0], [2.0, 5.0])
    assert binned([None, None], most=1) == ([], [])
    places, means = binned([float(i) for i in range(1000)], most=100)
    assert (len(places), places[0], means[-1]) == (100, 4.5, 994.5)


def test_figures_of_one_page_share_no_id_and_take_its_colours() -> None:
    def paint(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color="#0072b2")
        axes.set_title("a $b$ <script>")

    first, second = draw("one", paint), draw("two", paint)
    assert "var(--c1, #0072b2)" in first
    assert "a $b$ &lt;script&gt;" in first
    assert "<script" not in first
    ids = [{part.split('"')[0] for part in svg.split(' id="')[1:]} for svg in (first, second)]
    assert ids[0] and not ids[0] & ids[1]
    assert draw("one", paint) == first


@pytest.mark.parametrize(
    ("rate", "name"), [(0.0, "r0"), (0.25, "r1"), (0.5, "r2"), (0.75, "r3"), (1.0, "r4")]
)
def test_pass_rates_have_five_colours(rate: float, name: str) -> None:
    assert rate_class(rate) == name
    assert rate_class(None) == "r-"


def test_texts_are_split_where_they_are_marked() -> None:
    assert passage_parts("a \\mask{} b \\mask{}", "x") == [
        *(Part("a "), Part("x", "x"), Part(" b "), Part("x", "x")),
    ]
    assert passage_parts("How many?", "7") == [Part("How many? "), Part("7", "7")]
    assert lines_of("1\n2\n3\n", faulty_step=2) == [
        *(Line(1, "1"), Line(2, "2", faulty=True), Line(3, "3")),
    ]
    assert (clip("abc", 3), clip("abcd", 3)) == ("abc", "ab…")
