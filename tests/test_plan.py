"""Plans: sizes counted by hand, and only remedies that help."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from alive import sizing
from alive.config import Config, GameConfig, LearnConfig, ModelConfig, SamplingConfig
from alive.engines.shape import KNOWN, ModelShape, read_shape
from alive.errors import ModelError, UserError
from alive.plan import make_plan, remedy, require_fit, with_throughput
from alive.settings import load_config
from alive.store import RunFolder
from alive.throughput import Throughput

TINY = ModelShape(
    parameters=1000, layers=2, hidden=4, intermediate=8, heads=2, kv_heads=1, head_dim=2,
    vocabulary=10,
)  # fmt: skip
GAME = GameConfig(masks_per_document=2, solutions_per_mask=3, revisions_per_mask=1)


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "available_memory", lambda: 10**12)


def test_adapters_by_hand() -> None:
    # A layer: q 4+4, k and v 4+2 each, o 4+4, gate, up and down 4+8 each: 64; two layers, rank 3.
    assert TINY.lora_parameters(3) == 3 * 2 * 64


def test_memory_by_hand(roomy: None) -> None:
    absent = ModelConfig(id="somebody/model", dtype="float32")
    config = Config(model=absent, game=GAME, learn=LearnConfig(micro_batch_tokens=1000))
    plan = make_plan(config, TINY)
    assert plan.memory["weights"] == 4000
    assert plan.memory["Adam"] == 8000
    assert plan.memory["gradients"] == 4000
    # A token of a layer: 8 x 4 + 4 x (2 + 1) x 2 + 4 x 8 = 88 numbers.
    # A record of 256 + 512 + 256 tokens is wider than the pass.
    assert plan.memory["activations"] == 1024 * 2 * 88 * 4
    # Five copies of all logits, which one slice holds, and the gradient of the embedding.
    assert plan.memory["logits"] == 5 * 1024 * 10 * 4 + 4 * 10 * 4
    # 6 completions of 256 + 512 + 256 tokens, 8 numbers each, and four copies of a token's logits.
    assert plan.memory["cache and logits of completions"] == 6 * (1024 * 8 * 4 + 16 * 10)
    learning = 4000 + 1024 * 2 * 88 * 4 + 5 * 1024 * 10 * 4 + 160
    assert plan.peak == 4000 + 8000 + plan.memory["runtime"] + learning


def test_memory_in_bfloat16_by_hand(roomy: None) -> None:
    """Float32 masters, a copy of the 960 numbers of matrices beside the embedding, and casts."""
    absent = ModelConfig(id="somebody/model", dtype="bfloat16")
    plan = make_plan(Config(model=absent, game=GAME), TINY)
    assert plan.memory["weights"] == 4000
    assert plan.memory["sampler's copy"] == plan.memory["weights in the compute type"] == 2 * 960
    adapters = Config(model=absent.model_copy(update={"lora_rank": 3}), game=GAME)
    plan = make_plan(adapters, TINY)
    assert plan.memory["weights"] == 2 * 1000 + 4 * 384
    assert (plan.memory["Adam"], plan.memory["gradients"]) == (8 * 384, 4 * 384)
    assert plan.memory["sampler's copy"] == 2 * 384


def test_memory_of_packed_matrices_by_hand(roomy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where a matrix is worth it, and where there would be no copy anyway."""
    monkeypatch.setattr("alive.engines.packing.can_pack", lambda: True)

    def copied(dtype: str, rank: int) -> int:
        model = ModelConfig(id="somebody/model", dtype=dtype, lora_rank=rank)
        return make_plan(Config(model=model, game=GAME), TINY).memory["sampler's copy"]

    assert copied("float32", 0) == 0
    monkeypatch.setattr("alive.engines.packing.LEAST", 1)
    # All but the embedding are matrices, 960 numbers.
    assert copied("float32", 0) == copied("float32", 3) == 4 * 960
    assert copied("bfloat16", 0) == 2 * 960
    assert copied("bfloat16", 3) == 2 * 960 + 2 * 384
    monkeypatch.setattr("alive.engines.memory.worth_packing", lambda *_: False)
    assert copied("float32", 0) == 0


def test_tokens_by_hand(roomy: None) -> None:
    plan = make_plan(Config(game=GAME), TINY)
    sampled = 2 * 16 + 6 * (512 + 256) + 2 * 512
    assert plan.sampled == sampled
    prompts = 2 * 2 * 256 + 6 * (256 + 512) + 2 * (256 + 512 + 256)
    rehearsed = (32 - 6) * (256 + 512 + 256)
    assert plan.trained == sampled + prompts + rehearsed


def test_time_from_rates(roomy: None) -> None:
    plan = make_plan(Config(game=GAME), TINY)
    assert plan.step_seconds is None
    timed = replace(plan, throughput=Throughput(sample=100.0, train=1000.0))
    assert timed.step_seconds == pytest.approx(plan.sampled / 100 + plan.trained / 1000)
    assert dict(timed.lines())["fits this machine"] == "yes"


def test_paper_preset_is_planned_without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "available_memory", lambda: 24 * 10**9)
    config = load_config("paper")
    plan = make_plan(config)
    assert plan.shape.parameters == 7_615_616_512
    assert plan.memory["weights"] == 4 * 7_615_616_512  # float32 masters
    assert not plan.fits
    assert with_throughput(plan).note == "not measured: it does not fit"
    with pytest.raises(UserError, match=r"Qwen/Qwen2.5-7B does not fit this machine. It needs"):
        require_fit(plan)


def test_known_shapes_add_up() -> None:
    """The table's sizes give the counts their model cards state."""
    ties = {"Qwen/Qwen2.5-7B": 0}
    for name, shape in KNOWN.items():
        tied, bias = ties.get(name, 1), "Qwen2.5" in name
        attention, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        layer = 2 * shape.hidden * attention + 2 * shape.hidden * keys
        layer += bias * (attention + 2 * keys)
        layer += 3 * shape.hidden * shape.intermediate + 2 * shape.hidden
        embeddings = (2 - tied) * shape.vocabulary * shape.hidden
        assert shape.layers * layer + embeddings + shape.hidden == shape.parameters


def test_remedies_are_recomputed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Weights, gradients and moments of 135 million take 2.15 GB, the process 0.43, logits 0.45;
    # 8,192 tokens of recomputed activations take 1 GB, 1,024 of them next to nothing.
    learn = LearnConfig(micro_batch_tokens=8192)
    config = Config(model=ModelConfig(id="smollm2", dtype="float32"), learn=learn)
    monkeypatch.setattr(sizing, "available_memory", lambda: 3_300_000_000)
    words = "It would fit with learn.micro_batch_tokens=1024 and learn.checkpointing=on."
    assert words in remedy(make_plan(config))
    monkeypatch.setattr(sizing, "available_memory", lambda: 2_900_000_000)
    assert "It would fit with model.lora_rank=16" in remedy(make_plan(config))
    monkeypatch.setattr(sizing, "available_memory", lambda: 1)
    assert "Neither LoRA nor small micro-batches" in remedy(make_plan(config))
    monkeypatch.setattr(sizing, "available_memory", lambda: 10**12)
    assert remedy(make_plan(config)) == "" or "disk" in remedy(make_plan(config))


def test_a_full_disk_is_foreseen(roomy: None) -> None:
    plan = replace(make_plan(Config(), TINY), disk_free=0)
    assert "The checkpoints need" in remedy(plan)
    with pytest.raises(UserError, match="choose --out on another disk"):
        require_fit(plan)


def test_shape_of_a_folder(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
    )  # fmt: skip
    config.save_pretrained(tmp_path)
    shape = read_shape(str(tmp_path))
    assert shape.parameters == sum(p.numel() for p in LlamaForCausalLM(config).parameters())
    assert (shape.layers, shape.hidden, shape.heads, shape.kv_heads) == (2, 16, 4, 2)
    assert (shape.head_dim, shape.vocabulary, shape.intermediate) == (4, 50, 32)


def test_shape_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "nonsense"}')
    with pytest.raises(ModelError, match="its size cannot be read"):
        read_shape(str(tmp_path))


def test_absent_weights_are_not_timed(roomy: None) -> None:
    config = Config(model=ModelConfig(id="somebody/model"))
    plan = with_throughput(make_plan(config, TINY))
    assert plan.throughput is None
    assert plan.note == "not measured: the weights are not on this machine"


@pytest.mark.parametrize(
    ("memory", "on_gpu", "passes"),
    [(1e12, True, 32_768), (1e12, False, 1024), (3.4e9, False, 1024), (1.0, True, 1024)],
)
def test_a_pass_takes_what_the_memory_leaves(
    memory: float, on_gpu: bool, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alive.engines import shape as shapes

    monkeypatch.setattr(sizing, "available_memory", lambda: int(memory))
    monkeypatch.setattr(shapes, "free_gpu_memory", lambda: int(memory) if on_gpu else None)
    config = Config(model=ModelConfig(id="smollm2", dtype="float32"))
    plan = make_plan(config)
    assert plan.config.learn.micro_batch_tokens == passes
    assert sizing.settled(config) == plan.config
    assert sizing.settled(plan.config) is plan.config


def test_a_pass_is_halved_until_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    from alive.engines import shape as shapes

    learn = LearnConfig(checkpointing="off")
    config = Config(model=ModelConfig(id="smollm2", dtype="float32"), learn=learn)
    monkeypatch.setattr(shapes, "free_gpu_memory", lambda: 1)
    monkeypatch.setattr(sizing, "available_memory", lambda: 10**12)
    peaks = {size: make_plan(sizing.with_passes(config, size)).peak for size in (8192, 4096, 2048)}
    assert peaks[8192] > peaks[4096] > peaks[2048]
    for size, smaller in ((8192, 4096), (4096, 2048)):
        # A little too few for the larger, with room left over for others.
        monkeypatch.setattr(
            sizing, "available_memory", lambda peak=peaks[size]: int(peak / sizing.ROOM) - 2
        )
        chosen = sizing.settled(config).learn.micro_batch_tokens
        assert chosen == smaller, size


def test_a_run_goes_on_with_the_passes_it_began_with(tmp_path: Path) -> None:
    config = Config(out=str(tmp_path / "run"), model=ModelConfig(id="smollm2"))
    began = sizing.with_passes(config, 640)
    RunFolder.create(began.out, began, False).close()
    assert sizing.settled(config, resume=True) == began


@pytest.mark.parametrize(
    ("parameters", "full"),
    [
        (10**6, 1e-3),
        (135 * 10**6, 5e-5),
        (494 * 10**6, 5e-6),
        (1_544 * 10**6, 2e-6),
        (7 * 10**9, 1e-6),
    ],
)
def test_the_rate_falls_with_the_weights_that_train(parameters: int, full: float) -> None:
    """All weights of a model of half a billion bear a twentieth of what adapters bear."""
    shape = replace(TINY, parameters=parameters)
    given = Config(learn=LearnConfig(micro_batch_tokens=1000))
    adapted = given.model_copy(update={"model": ModelConfig(lora_rank=2)})
    own = Config(learn=LearnConfig(micro_batch_tokens=1000, learning_rate=0.5))
    assert sizing.settled(given, shape).learn.learning_rate == full
    assert sizing.settled(adapted, shape).learn.learning_rate == 1e-4
    assert sizing.settled(own, shape) is own


def test_a_resumed_run_keeps_the_rate_it_began_with(tmp_path: Path) -> None:
    config = Config(out=str(tmp_path / "run"), learn=LearnConfig(micro_batch_tokens=1000))
    began = config.model_copy(
        update={"learn": config.learn.model_copy(update={"learning_rate": 3e-4})}
    )
    RunFolder.create(began.out, began, False).close()
    assert sizing.settled(config, TINY, resume=True) == began


@pytest.mark.parametrize(
    ("rank", "follow", "held"), [(0, 0.0, True), (0, 1.0, False), (4, 0.0, False), (4, 0.5, True)]
)
def test_a_teacher_with_weights_of_its_own_is_counted(
    roomy: None, rank: int, follow: float, held: bool
) -> None:
    learn = LearnConfig(micro_batch_tokens=1000, distil_weight=1.0, distil_follow=follow)
    config = Config(model=ModelConfig(lora_rank=rank), game=GAME, learn=learn)
    plan = make_plan(config, TINY)
    weights = sizing.trained_parameters(config, TINY)
    assert plan.memory.get("teacher", 0) == (4 * weights if held else 0)


@pytest.mark.parametrize(
    ("rank", "dtype", "each"), [(0, "float32", 0), (0, "bfloat16", 2), (4, "float32", 4)]
)
def test_a_run_that_servers_sample_holds_no_copy_and_no_cache(
    roomy: None, rank: int, dtype: Literal["float32", "bfloat16"], each: int
) -> None:
    served = SamplingConfig(servers=("http://127.0.0.1:1",))
    learn = LearnConfig(micro_batch_tokens=1000)
    model = ModelConfig(lora_rank=rank, dtype=dtype)
    plan = make_plan(Config(model=model, game=GAME, learn=learn, sampling=served), TINY)
    assert "sampler's copy" not in plan.memory
    assert plan.memory["cache and logits of completions"] == 0
    # What is merged or cast is put together before it is written.
    assert plan.memory["weights to be sent"] == each * TINY.parameters
