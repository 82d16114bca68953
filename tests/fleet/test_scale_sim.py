"""The simulation of many GPUs: steps worked out by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import scale_model as model  # noqa: E402
from scale_play import Costs, document, guessed, play  # noqa: E402

PLAIN = Costs(row=1.0, train=1.0, read=1.0, rows=(2,), median=(10,), spread=0.0, limit=(99,))


def test_completions_are_written_side_by_side() -> None:
    # Three tokens of both rows, then two of the longer one.
    costs = replace(PLAIN, token=10.0)
    assert play([[[3, 5]]], costs)[0] == 3 * (10 + 2) + 2 * (10 + 1)


def test_a_stage_waits_for_the_last_completion_of_the_one_before() -> None:
    costs = replace(PLAIN, token=1.0, row=0.0)
    assert play([[[3, 5], [4]]], costs)[0] == 5 + 4
    # Documents do not wait for one another.
    assert play([[[3, 5], [4]], [[1], [9]]], costs)[0] == 10
    assert play([], costs)[0] == 0


def test_a_slot_that_is_free_is_given_to_one_that_waits() -> None:
    costs = replace(PLAIN, token=1.0, row=0.0, slots=2)
    # 6 and 2 begin; 3 follows 2 until 5, and 4 follows 3 until 9.
    assert play([[[6, 2, 3, 4]]], costs)[0] == 9


def test_a_request_goes_to_the_device_with_fewest_open() -> None:
    costs = replace(PLAIN, token=1.0, row=0.0)
    # 3 and 4 are written side by side by the first, 5 by the second.
    assert play([[[3, 5, 4]]], costs, 2) == (5, [4, 5])
    # Two may be open: 4 waits until 3 has ended, and goes where that was.
    assert play([[[3, 5, 4]]], costs, 2, 2) == (7, [7, 5])
    # Of two requests one has the first and third completion, one the others.
    assert play([[[1, 9, 2, 3]]], replace(costs, requests=(2,)), 2) == (9, [2, 9])
    # A stage begins when the other device has ended as well.
    assert play([[[3, 5], [2]]], costs, 2) == (7, [5, 5])


def test_a_row_begins_with_a_token_of_all() -> None:
    costs = replace(PLAIN, token=2.0, row=0.0, call=1.0)
    # Asked at 1 and 2 seconds; the second waits for the token that is written from 1 to 3.
    assert play([[[2, 2]]], costs) == (7, [6])


def test_documents_wait_for_the_guesses() -> None:
    costs = replace(PLAIN, token=1.0, row=0.0)
    assert play([[[3]], [[5]]], costs, guesses=[4, 2])[0] == 4 + 5
    long = replace(PLAIN, guesses=3, median=(300,), limit=(400,))
    assert guessed(long, 0, 0) == [128] * 3
    one = model.step_of([[[10]], [[20]]], "replicas", 2, 1, costs, [4])
    # A device has 4 + 10 to write, the other 20; 34 tokens are learned.
    assert (one.sampling, one.total) == (17, 24 + 30)


def test_two_ranks_take_exactly_half() -> None:
    documents = [[[10, 10]]] * 4
    one = model.step_of(documents, "ranks", 1, 1, PLAIN)
    two = model.step_of(documents, "ranks", 2, 2, PLAIN)
    # 8 rows of 10 tokens, a second each; 80 tokens learned.
    assert (one.sampling, one.learning, one.total) == (80, 80, 160)
    assert (two.sampling, two.learning, two.total) == (40, 40, 80)
    assert two.straggling == one.straggling == one.transfer == two.transfer == 0
    assert two.rate == 2 * one.rate == 1.0


def test_one_straggler_holds_everybody_up() -> None:
    costs = replace(PLAIN, token=1.0, row=0.0, train=0.0)
    step = model.step_of([[[10]], [[10]], [[10]], [[50]]], "ranks", 4, 4, costs)
    assert (step.sampling, step.straggling, step.total) == (20, 30, 50)
    assert step.dominant == "straggling"


def test_ranks_without_a_document_only_wait() -> None:
    step = model.step_of([[[10]]], "ranks", 4, 4, replace(PLAIN, train=0.0))
    assert (step.sampling, step.straggling, step.total) == (2.5, 7.5, 10)


def test_a_step_bound_by_transfer() -> None:
    costs = replace(PLAIN, row=0.001, train=0.0, weights=100.0, link=10.0, latency=2.0)
    step = model.step_of([[[10]], [[10]]], "replicas", 2, 1, costs)
    assert step.transfer == 2 + 10 and step.dominant == "transfer"
    assert step.total == pytest.approx(12.01)
    # One after the other: two rounds; three in twos as well.
    one_by_one = replace(costs, streams=1)
    assert model.sent(2, 1, one_by_one) == 2 + 2 * 10
    assert model.sent(3, 1, replace(costs, streams=2)) == 2 + 2 * 10
    # Nine devices are more than a node of eight.
    assert model.sent(8, 1, replace(costs, network=1.0)) == 2 + 100


def test_gradients_are_added_up_in_a_ring() -> None:
    costs = replace(PLAIN, gradients=80.0, link=10.0, network=2.0)
    assert model.added_up(1, costs) == 0
    assert model.added_up(4, costs) == 2 * 3 / 4 * 8
    assert model.added_up(16, costs) == 2 * 15 / 16 * 40


def test_one_step_off_hides_the_shorter_part() -> None:
    costs = replace(PLAIN, weights=10.0, link=10.0, train=3.0)
    documents = [[[10]], [[10]]]
    # Play 10 a sampler, learning 2 x 10 x 3 at one learner, a second for the weights.
    assert model.step_of(documents, "replicas", 2, 1, costs).total == 10 + 60 + 1
    assert model.step_of(documents, "off", 2, 1, costs).total == 60 + 1


def test_replicas_that_share_cores_take_turns() -> None:
    costs = replace(PLAIN, train=0.0, cores=2)
    documents = [[[10]]] * 4
    two, four = (model.step_of(documents, "replicas", n, 1, costs).total for n in (2, 4))
    assert two == four == 20


def test_lengths_depend_on_nothing_but_their_place() -> None:
    costs = Costs(rows=(4000,), median=(100,), spread=1.0, limit=(2000,))
    (lengths,) = document(costs, 0, 1, 2)
    assert [lengths] == document(costs, 0, 1, 2) != document(costs, 0, 1, 3)
    assert sorted(lengths)[2000] == pytest.approx(100, rel=0.1)  # the median
    assert sum(lengths) / 4000 == pytest.approx(100 * 2.718**0.5, rel=0.1)  # its tail is heavy
    assert max(lengths) <= 2000 and min(lengths) >= 1


def test_where_doubling_gains_less_than_half() -> None:
    assert model.knee([1, 2, 4, 8], [10, 20, 31, 40]) == 4
    assert model.knee([1, 2, 4], [10, 15, 22.5]) is None
    fixed = [model.Step(8 / n, 0, 4 / n, 1 - 1 / n, 12 / n + 1 - 1 / n, 100) for n in (1, 2, 4, 8)]
    found = model.knees([1, 2, 4, 8], fixed, [64] * 4)
    # 12, 6.5, 3.75 and 2.375 seconds: 1.73 and 1.58 times as fast are no knee yet.
    assert found == {
        "all": "none", "sampling": "none", "straggling": "none", "learning": "none",
        "transfer": "2",
    }  # fmt: skip


def test_gpus_are_split_with_one_of_each_at_least() -> None:
    assert model.split(8, "ranks", 0.5) == (8, 8)
    assert model.split(8, "replicas", 0.25) == (6, 2)
    assert model.split(2, "off", 0.9) == model.split(2, "off", 0.0) == (1, 1)


def test_stages_have_to_match() -> None:
    with pytest.raises(ValueError, match="a value for each stage"):
        Costs(rows=(1, 2))
    with pytest.raises(ValueError, match="rows at least 1"):
        replace(PLAIN, rows=(0,))
    with pytest.raises(ValueError, match="requests need a value"):
        replace(PLAIN, requests=(1, 1))


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "scale_sim.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_predictions_stand_beside_what_was_measured(tmp_path: Path) -> None:
    costs, measured = tmp_path / "costs.json", tmp_path / "measured.json"
    found = {"token": 1, "row": 1, "rows": [2], "median": [10], "spread": 0, "limit": [99]}
    costs.write_text(json.dumps(found))
    measured.write_text(json.dumps({"1": 50.0, "2": 25.0}))
    done = simulate(
        *("--costs", str(costs), "--measured", str(measured)),
        *("--mode", "replicas", "--documents", "2"),
    )
    assert done.returncode == 0, done.stderr
    # Of both documents four rows: 10 x (1 + 4); of one two: 10 x (1 + 2).
    assert done.stdout.splitlines()[1:] == ["1, 50, 50, 1.00", "2, 25, 30, 1.20"]


def test_an_unknown_cost_is_named(tmp_path: Path) -> None:
    costs = tmp_path / "costs.json"
    costs.write_text('{"tokn": 1}')
    done = simulate("--costs", str(costs))
    assert (
        done.returncode == 1
        and "no such cost: tokn; there are call, cores, gradients" in done.stderr
    )
    costs.write_text('{"rows": [2]}')
    done = simulate("--costs", str(costs))
    assert done.returncode == 1 and "a value for each stage" in done.stderr


def test_the_table_of_a_model_that_is_known() -> None:
    done = simulate("--most", "4", "--documents", "4", "--steps", "1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines if "seconds a step" in line] == [
        "ranks", "replicas", "off",
    ]  # fmt: skip
    assert sum(line.startswith("knees, GPUs: all") for line in lines) == 3
    assert simulate("--most", "4", "--documents", "4", "--steps", "1").stdout == done.stdout
