"""The local policy: order, counts, and a checkpoint from which the same steps follow bit by bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import policy

from alive.config import LearnConfig, ModelConfig
from alive.engines import local
from alive.engines.local import LocalPolicy, load_policy
from alive.types import MASK, Prompt, SamplingParams, TrainingRecord

GREEDY = SamplingParams(6, temperature=0.0)


def prompts_of(renderer) -> list[Prompt]:
    passages = ("a long passage with many words \\mask{}", "1+2=\\mask{}", "x", "of some words")
    return [renderer.solve(passage, None) for passage in passages]


def records_of(renderer, answer: str = "7") -> list[TrainingRecord]:
    written = renderer.complete(f"\\boxed{{{answer}}}")
    return [
        TrainingRecord(p.role, p.ids, written, 1.0, "d") for p in prompts_of(renderer) for _ in "ab"
    ]


def test_rollouts_come_in_the_order_of_their_prompts(seed_tokenizer, monkeypatch) -> None:
    one = policy(seed_tokenizer)
    asked = prompts_of(one.renderer)
    lengths = [len(prompt.ids) for prompt in asked]
    assert lengths != sorted(lengths)
    together = one.sample(asked, 2, GREEDY, seed=1)
    assert [[r.prompt for r in group] for group in together] == [[p, p] for p in asked]
    monkeypatch.setattr(local, "MAX_ROWS", 3)  # one prompt of two completions at a time
    apart = one.sample(asked, 2, GREEDY, seed=1)
    ids = [[[r.completion_ids for r in group] for group in groups] for groups in (together, apart)]
    assert ids[0] == ids[1]
    for prompt, group in zip(asked, together, strict=True):
        [[alone]] = one.sample([prompt], 1, GREEDY, seed=9)
        assert group[0].completion_ids == group[1].completion_ids == alone.completion_ids


def test_a_rollout_says_what_was_written(seed_tokenizer) -> None:
    one = policy(seed_tokenizer)
    one.version = 3
    [group] = one.sample(prompts_of(one.renderer)[:1], 20, SamplingParams(5), seed=0)
    for rollout in group:
        ended = rollout.completion_ids[-1] in one.renderer.stop_ids
        assert rollout.stop == ("stop" if ended else "length")
        assert rollout.text == one.renderer.decode(rollout.completion_ids)
        assert rollout.policy_version == 3
        assert len(rollout.logprobs) == len(rollout.completion_ids) <= 5
    assert one.tokens_sampled == sum(len(rollout.completion_ids) for rollout in group)


def test_the_same_seed_the_same_rollouts(seed_tokenizer) -> None:
    one = policy(seed_tokenizer)
    asked = prompts_of(one.renderer)
    first = one.sample(asked, 2, SamplingParams(6), seed=4)
    assert one.sample(asked, 2, SamplingParams(6), seed=4) == first
    assert one.sample(asked, 2, SamplingParams(6), seed=5) != first


def test_no_prompts_no_rollouts(seed_tokenizer) -> None:
    assert policy(seed_tokenizer).sample([], 4, GREEDY, 0) == []


def test_decoding_batches_fit_the_cache(seed_tokenizer, monkeypatch) -> None:
    one = policy(seed_tokenizer)
    # A token costs 4 bytes x (key, value) x 2 layers x 1 head x 8 = 128 bytes.
    monkeypatch.setattr(local, "CACHE_BYTES", 128 * 100 * 5)
    assert one._rows(100) == 5
    assert one._rows(1000) == 1
    monkeypatch.setattr(local, "CACHE_BYTES", 1 << 40)
    assert one._rows(100) == local.MAX_ROWS


def test_updates_are_counted(seed_tokenizer) -> None:
    one = policy(seed_tokenizer)
    records = records_of(one.renderer)  # each is there twice, and passes once
    stats = one.update(records, 1e-2)
    assert (one.version, one.tokens_trained) == (1, stats.tokens)
    assert stats.tokens == sum(len(r.completion_ids) for r in records[::2])


def test_a_step_that_is_left_out_counts(seed_tokenizer) -> None:
    one = policy(seed_tokenizer)
    with torch.no_grad():
        one.model.model.norm.weight[0] = float("nan")
    before = one.tensors()
    assert one.update(records_of(one.renderer), 1e-2).skipped
    assert one.version == 1
    assert one.tensors() == before == {}


def test_an_interrupted_step_is_not_the_old_version(seed_tokenizer, monkeypatch) -> None:
    """Weights may have moved; nobody may take them for those of the step before."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    one = policy(seed_tokenizer)
    monkeypatch.setattr(one._optimiser, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one.update(records_of(one.renderer), 1e-2)
    assert one.version == 1


def test_a_policy_without_learning_settings_only_samples(seed_tokenizer) -> None:
    one = policy(seed_tokenizer)
    asking = LocalPolicy(one.model, seed_tokenizer, one.renderer)
    assert len(asking.sample(prompts_of(one.renderer), 1, GREEDY, 0)) == 4
    with pytest.raises(ValueError, match="sampling only"):
        asking.update(records_of(one.renderer), 1e-2)


@pytest.mark.parametrize("rank", [0, 2], ids=["all weights", "lora"])
def test_two_updates_after_a_restore_equal_two_without(
    seed_tokenizer, tmp_path: Path, rank
) -> None:
    learn = LearnConfig(learning_rate=1e-2, weight_decay=0.1)
    straight = policy(seed_tokenizer, learn=learn, rank=rank)
    records = records_of(straight.renderer)
    for _ in range(2):
        straight.update(records, 1e-2)
    straight.save(tmp_path / "model")
    save_file(straight.tensors(), tmp_path / "state.safetensors")
    ends = [straight.update(records, 1e-2) for _ in range(2)]

    # Another process starts from the same base (adapters need it) with moments of its own.
    resumed = policy(seed_tokenizer, learn=learn, rank=rank)
    resumed.update(records_of(resumed.renderer, "999"), 1e-2)
    if rank:
        resumed = policy(seed_tokenizer, learn=learn, rank=rank)
    resumed.restore(tmp_path / "model", load_file(tmp_path / "state.safetensors"), version=2)
    assert [resumed.update(records, 1e-2) for _ in range(2)] == ends
    assert resumed.version == straight.version == 4
    left, right = straight.model.state_dict(), resumed.model.state_dict()
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
    moments, others = straight.tensors(), resumed.tensors()
    assert moments.keys() == others.keys()
    assert all(torch.equal(moments[name], others[name]) for name in moments)


def test_a_saved_folder_is_the_policy(seed_tokenizer, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    one = policy(seed_tokenizer)
    one.update(records_of(one.renderer), 1e-2)
    one.save(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    for name, value in one.model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


def test_learning_raises_what_is_learned(seed_tokenizer) -> None:
    """The toy signal: after a few steps the greedy answer to every prompt is the taught one."""
    one = policy(seed_tokenizer, learn=LearnConfig(learning_rate=1e-2))
    asked = prompts_of(one.renderer)
    short = SamplingParams(12, temperature=0.0)
    told = [group[0].text for group in one.sample(asked, 1, short, 0)]
    assert "\\boxed{7}" not in told
    losses = [one.update(records_of(one.renderer), 1e-2).loss for _ in range(40)]
    assert losses[-1] < 0.05 < 1 < losses[0]
    rollouts = [group[0] for group in one.sample(asked, 1, short, 0)]
    assert {(r.text, r.stop) for r in rollouts} == {("\\boxed{7}", "stop")}


def test_fresh_models_depend_on_their_seed_alone(seed_tokenizer) -> None:
    from alive.engines.fresh import new_model

    torch.manual_seed(1)
    first = new_model(seed_tokenizer, hidden=32, layers=1, seed=5)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)  # the process's stream was left alone
    again = new_model(seed_tokenizer, hidden=32, layers=1, seed=5)
    other = new_model(seed_tokenizer, hidden=32, layers=1, seed=6)
    same = first.state_dict()
    assert all(torch.equal(same[name], value) for name, value in again.state_dict().items())
    embedded = "model.embed_tokens.weight"
    assert not torch.equal(same[embedded], other.state_dict()[embedded])
    assert first.config.eos_token_id == seed_tokenizer.eos_token_id


def test_numbers_start_as_tens_plus_units() -> None:
    from alive.engines.fresh import new_model
    from alive.engines.models import load_model

    tokenizer = load_model("seed", "float32")[1]
    weights = new_model(tokenizer, hidden=32, layers=1).get_input_embeddings().weight

    def vector(number: int) -> torch.Tensor:
        [token] = tokenizer.encode(str(number), add_special_tokens=False)
        return weights[token]

    for low, high in ((25, 27), (3, 8)):
        units = vector(high) - vector(low)
        assert torch.allclose(units, vector(30 + high % 10) - vector(30 + low % 10), atol=1e-6)
        assert units.norm() > 0.1
    # No word stands on such a grid.
    a, b = (tokenizer.convert_tokens_to_ids(token) for token in ("<|solve|>", "<|review|>"))
    assert not torch.allclose(weights[a] - weights[b], vector(27) - vector(25), atol=1e-6)


def test_two_threads_learn_the_same_bytes_every_time() -> None:
    """Rows that share a beginning add to its gradient in an order that threads would decide."""
    threads, learn, found = torch.get_num_threads(), LearnConfig(), set()
    torch.use_deterministic_algorithms(False)  # the loader must ask for them
    try:
        for _ in range(5):
            one, renderer = load_policy(ModelConfig(id="seed", threads=2), learn)
            torch.set_num_threads(2)  # even where the probe found one faster
            passage = "Work out " + " + ".join(str(n) for n in range(2, 40)) + f": {MASK}"
            asked = renderer.solve(passage, None)
            records = [
                TrainingRecord("solve", asked.ids, renderer.complete(f"{n}+{m}"), 1.0, "d")
                for n in range(10, 20)
                for m in range(10, 20)
            ]
            one.update(records, 1e-3)
            found.add(b"".join(w.numpy().tobytes() for w in one.model.state_dict().values()))
    finally:
        torch.set_num_threads(threads)
    assert len(found) == 1
