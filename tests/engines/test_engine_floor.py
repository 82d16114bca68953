"""The floor of a stage by hand, and what a model reaches of it."""

from __future__ import annotations

import pytest

from alive.config import ModelConfig
from alive.engines import floor
from alive.engines.floor import Machine, Stage, _Sizes, measure_machine, measure_speeds

MACHINE = Machine("a machine", float32=1e9, bfloat16=4e9, copy=1e9)


@pytest.mark.parametrize(
    ("dtype", "rows", "tokens"),
    [
        ("float32", 1, 250),  # 4 ms to read a million weights, 2 ms of products
        ("float32", 10, 500),  # 20 ms of products for ten tokens
        ("bfloat16", 1, 500),  # half the bytes
        ("bfloat16", 100, 2000),
    ],
)
def test_sampling_reads_the_weights_once_for_all_rows(dtype: str, rows: int, tokens: float) -> None:
    assert _Sizes(10**6, 10**6).sampled(MACHINE, dtype, rows) == pytest.approx(tokens)


@pytest.mark.parametrize(
    ("trained", "recomputed", "operations"),
    [(10**6, False, 6), (10**6, True, 8), (10**4, False, 4.02), (10**4, True, 6.02)],
)
def test_training_costs_four_to_eight_operations_a_weight(trained, recomputed, operations) -> None:
    found = _Sizes(10**6, trained).learned(MACHINE, "float32", recomputed=recomputed)
    assert found == pytest.approx(1e3 / operations)


def test_a_share_is_of_the_floor() -> None:
    assert Stage("training", 30.0, 120.0).share == 0.25


@pytest.fixture
def half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is done once, and takes half a second."""

    def seconds(call, device: str) -> float:
        assert device == "cpu"
        call()
        return 0.5

    monkeypatch.setattr(floor, "_seconds", seconds)


@pytest.mark.usefixtures("half_a_second")
def test_a_machines_rates_by_hand() -> None:
    machine = measure_machine("cpu")
    assert machine.float32 == machine.bfloat16 == 2 * 1024**3 / 0.5
    assert machine.copy == 2 * 4 * 2**24 / 0.5
    assert MACHINE.operations("bfloat16") == 4e9
    assert MACHINE.operations("float32") == 1e9


def test_the_median_of_five_calls_after_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 90.0, 0.0, 1.0, 0.0, 5.0, 0.0, 2.0, 0.0, 9.0, 0.0, 4.0])
    monkeypatch.setattr(floor.time, "perf_counter", lambda: next(ticks))
    called: list[int] = []
    assert floor._seconds(lambda: called.append(1), "cpu") == 4.0
    assert len(called) == 6


def test_what_takes_long_is_timed_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 90.0, 0.0, 40.0, 0.0, 20.0])
    monkeypatch.setattr(floor.time, "perf_counter", lambda: next(ticks))
    called: list[int] = []
    assert floor._seconds(lambda: called.append(1), "cpu") == 30.0
    assert len(called) == 3


@pytest.mark.usefixtures("half_a_second")
@pytest.mark.parametrize("rank", [0, 2])
def test_speeds_of_the_seed(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every completion goes on to its limit, and every token of a record is computed."""
    from alive.engines.local import LocalPolicy

    drawn, taught = [], []
    advance, update = LocalPolicy._advance, LocalPolicy.update

    async def advanced(self, news):
        complete = await advance(self, news)
        drawn.extend(len(one.completion_ids) for group in complete.values() for one in group)
        return complete

    def updated(self, records, rate):
        taught.append(update(self, records, rate).tokens)

    monkeypatch.setattr(LocalPolicy, "_advance", advanced)
    monkeypatch.setattr(LocalPolicy, "update", updated)
    begun: list[str] = []
    speeds = measure_speeds(
        ModelConfig(id="seed", lora_rank=rank),
        rows=(1, 3),
        new_tokens=5,
        records=2,
        begins=begun.append,
    )
    assert begun[:2] == ["loading the model", "the machine"]
    assert begun[2:] == [stage.name for stage in speeds.stages]
    assert [stage.name for stage in speeds.stages] == [
        "sampling, 1 rows",
        "sampling, 3 rows",
        "training",
    ]
    assert [stage.rate for stage in speeds.stages] == [5 / 0.5, 15 / 0.5, 2 * 256 / 0.5]
    assert drawn == [5] * 4
    assert taught == [2 * 128]
    assert speeds.parameters == 935_040 + (speeds.trained if rank else 0)
    assert speeds.as_dict()["stages"][0]["share"] == speeds.stages[0].share
