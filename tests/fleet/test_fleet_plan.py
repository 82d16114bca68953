"""Plans for GPUs that are not here: bytes and seconds counted by hand, and only ways that help."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alive import sizing
from alive.cli import run
from alive.config import Config, GameConfig, LearnConfig, ModelConfig
from alive.engines.footprint import gathered_bytes
from alive.engines.shape import KNOWN, ModelShape
from alive.errors import UserError
from alive.fleet import GPUS, Fleet, Rates, fleet_advice, make_fleet_plan, parse_fleet
from alive.settings import load_config

TINY = ModelShape(
    parameters=1000, layers=2, hidden=4, intermediate=8, heads=2, kv_heads=1, head_dim=2,
    vocabulary=10,
)  # fmt: skip
MODEL = ModelConfig(id="somebody/model", dtype="bfloat16")
LEARN = LearnConfig(micro_batch_tokens=1024, checkpointing="off", learning_rate=1e-6)


def game(documents: int) -> GameConfig:
    return GameConfig(
        documents_per_step=documents, masks_per_document=2, solutions_per_mask=3,
        revisions_per_mask=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "count", "name"),
    [
        ("8xH100", 8, "H100"),
        ("H100", 1, "H100"),
        ("2 x h200", 2, "H200"),
        ("4*A100-40GB", 4, "A100-40"),
        ("1024xa100 80GB", 1024, "A100"),
        ("3XRTX4090", 3, "4090"),
        ("1xL40S", 1, "L40S"),
    ],
)
def test_what_gpus_may_be_called(text: str, count: int, name: str) -> None:
    assert parse_fleet(text) == Fleet(count, GPUS[name])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "write it as COUNTxNAME, such as 8xH100; there are H100, H200"),
        ("8x", "no such GPU"),
        ("-1xH100", "write it as COUNTxNAME"),
        ("8xH10", r"no such GPU \(did you mean H100\?\)"),
        ("0xH100", "the count must be 1 to 1024, not 0"),
        ("1025xH100", "the count must be 1 to 1024, not 1025"),
        ("8xH100,2xH200", "write it as COUNTxNAME"),
    ],
)
def test_a_malformed_fleet_is_refused(text: str, said: str) -> None:
    with pytest.raises(UserError, match=rf"--gpus {text}: {said}"):
        parse_fleet(text)


def test_memory_of_a_shard_by_hand() -> None:
    config = Config(model=MODEL, game=game(8), learn=LEARN)
    plan = make_fleet_plan(config, Fleet(8, GPUS["H100"]), shape=TINY)
    held, learning = plan.memory.held, plan.memory.learning
    # 16 bytes a weight divided by eight, and all weights once more in bfloat16.
    assert (held["weights"], held["Adam"], learning["gradients"]) == (500, 1000, 500)
    assert held["sampler's copy"] == 2000
    # Embedding and head 40 each and a norm of 4; a layer has (1000 - 84) / 2 = 458 weights.
    assert learning["weights gathered"] == 2 * (84 + 2 * 458)
    assert learning["gradients to scatter"] == max(6 * 458 + 2 * 40, 6 * 84)
    assert learning["logits"] == 5 * 1024 * 10 * 4  # the head's gradient is among the others
    # One document's completions, of eight documents.
    assert sum(plan.memory.sampling.values()) == 6 * (1024 * 8 * 2 + 16 * 10)


def test_memory_of_adapters_is_that_of_one_gpu() -> None:
    config = Config(model=MODEL.model_copy(update={"lora_rank": 3}), game=game(8), learn=LEARN)
    plan = make_fleet_plan(config, Fleet(8, GPUS["H100"]), shape=TINY)
    alone = make_fleet_plan(
        config.model_copy(update={"game": game(1)}), Fleet(1, GPUS["H100"]), shape=TINY
    )
    assert plan.memory == alone.memory
    assert plan.memory.held["weights"] == 2 * 1000 + 4 * 384


def test_a_tied_head_is_gathered_once() -> None:
    tied = replace(TINY, tied=True)
    assert gathered_bytes(tied, "float32")["weights gathered"] == 4 * (44 + 2 * 478)


def test_time_by_hand() -> None:
    config = Config(model=MODEL, game=game(5), learn=LEARN, steps=10)
    fleet = Fleet(4, GPUS["H200"])
    plan = make_fleet_plan(config, fleet, price=2.0, shape=TINY)
    rates = Rates(fleet.gpu, TINY)
    # The slowest rank has two of five documents: 4 tasks, 12 attempts, 4 revisions.
    play = 16 * rates.token_seconds(4) + 512 * rates.token_seconds(12)
    play += 256 * rates.token_seconds(12) + 512 * rates.token_seconds(4)
    assert plan.play == pytest.approx(play)
    own = plan.trained * 2 // 5
    assert plan.learn == pytest.approx(own / rates.trained_tokens(0, False))
    # Two gathers a pass and one for the sampler, 2 bytes a weight; one scatter of 4 bytes.
    moved = (2 * -(-own // 1024) + 1) * 2 * 1000 + 4 * 1000
    assert plan.exchange == pytest.approx(moved * 3 / 4 / 450e9)
    assert plan.seconds == pytest.approx(10 * (plan.play + plan.learn + plan.exchange))
    assert plan.cost == pytest.approx(plan.seconds / 3600 * 4 * 2.0)


def test_adapters_exchange_their_gradients_alone() -> None:
    config = Config(model=MODEL.model_copy(update={"lora_rank": 3}), game=game(16), learn=LEARN)
    plan = make_fleet_plan(config, Fleet(16, GPUS["H100"]), shape=TINY)
    # Added up in a ring of 16, over the network of two machines.
    assert plan.exchange == pytest.approx(2 * 4 * 384 * 15 / 16 / 50e9)
    assert make_fleet_plan(config, Fleet(1, GPUS["H100"]), shape=TINY).exchange == 0


@pytest.mark.parametrize(
    ("model", "rows", "measured"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", 64, 14_430),
        ("Qwen/Qwen2.5-0.5B-Instruct", 256, 42_848),
        ("Qwen/Qwen2.5-0.5B-Instruct", 512, 63_277),
        ("Qwen/Qwen2.5-1.5B-Instruct", 256, 31_171),
    ],
)
def test_rates_give_back_what_was_measured(model: str, rows: int, measured: int) -> None:
    rates = Rates(GPUS["H200"], KNOWN[model])
    assert rows / rates.token_seconds(rows) == pytest.approx(measured, rel=0.01)


def test_training_rates_give_back_what_was_measured() -> None:
    half, whole = (KNOWN[f"Qwen/Qwen2.5-{size}-Instruct"] for size in ("0.5B", "1.5B"))
    assert Rates(GPUS["H200"], half).trained_tokens(0, False) == pytest.approx(76_474, rel=0.01)
    adapters = whole.lora_parameters(16)
    trained = Rates(GPUS["H200"], whole).trained_tokens(adapters, False)
    assert trained == pytest.approx(30_758, rel=0.02)
    # A fourth pass over the weights.
    again = Rates(GPUS["H200"], half).trained_tokens(0, True)
    assert again == pytest.approx(76_474 * 3 / 4, rel=0.01)


@pytest.mark.parametrize(
    ("documents", "advice"),
    [
        (1, "keeps 7 of 8 ranks idle; set game.documents_per_step=8"),
        (12, "takes 8 ranks as long as 16 would; set game.documents_per_step=16"),
        (16, ""),
    ],
)
def test_idle_ranks_are_named(documents: int, advice: str) -> None:
    config = Config(model=MODEL, game=game(documents), learn=LEARN)
    said = fleet_advice(make_fleet_plan(config, Fleet(8, GPUS["H100"]), shape=TINY))
    assert (f"game.documents_per_step = {documents} {advice}" in " ".join(said)) == bool(advice)
    assert len(said) == bool(advice)


def test_remedies_are_recomputed() -> None:
    plan = make_fleet_plan(load_config("paper"), parse_fleet("1xH100"))
    assert not plan.fits and not any("Hours" in note for note in plan.notes())
    assert dict(plan.lines())["time"] == "not estimated: it does not fit"
    (said,) = fleet_advice(plan)
    assert said.endswith(
        "It would fit with model.lora_rank=16; or with --gpus 4xH100; or with --gpus 1xH200."
    )
    for way in ("4xH100", "1xH200"):
        assert make_fleet_plan(load_config("paper"), parse_fleet(way)).fits
    assert not make_fleet_plan(load_config("paper"), parse_fleet("2xH100")).fits
    adapted = load_config("paper", overrides=["model.lora_rank=16"])
    assert make_fleet_plan(adapted, parse_fleet("1xH100")).fits


def test_what_nothing_makes_fit() -> None:
    shape = replace(KNOWN["Qwen/Qwen2.5-7B"], parameters=10**12)
    plan = make_fleet_plan(load_config("paper"), parse_fleet("8xH200"), shape=shape)
    assert "No setting that was tried makes it fit" in fleet_advice(plan)[0]


def test_open_settings_are_settled_for_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for the machine that plans."""
    monkeypatch.setattr(sizing, "available_memory", lambda: 1)
    config = Config(model=ModelConfig(id="smollm2"), game=game(8))
    plan = make_fleet_plan(config, parse_fleet("8xH100"))
    assert plan.config.learn.micro_batch_tokens == 32_768
    assert sizing.settled(config).learn.micro_batch_tokens == 1024


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    paper = ["plan", "--preset", "paper", "--gpus", "8xH100"]
    assert run([*paper, "--price", "2.5"]) == 0
    shown = capsys.readouterr().out
    for part in ("8 x H100 80GB", "15.23 GB", "1,024, 256", "auto", "$2.50"):
        assert part in shown
    assert "keeps 7 of 8 ranks idle; set game.documents_per_step=8" in shown
    assert "The price is your own" in shown
    assert "No teacher is named: 256 warm-up steps learn the policy's own critiques." in shown
    teacher = ["--set", "warmup.teacher=http://127.0.0.1:9/v1", "--set", "warmup.teacher_model=big"]
    assert run([*paper, *teacher]) == 0
    shown = capsys.readouterr().out
    assert "big" in shown and "give yours with --price" in shown and "No teacher" not in shown


def test_a_price_without_gpus_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "--price", "2"]) == 2
    assert "--price is the price of what --gpus names" in capsys.readouterr().err
