"""What trains through the lean pass gets the gradients of the model's own."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import tiny_models
import torch
from tiny import llama, record
from tiny_lean import BEGUN, CONFIG, FAMILIES, IDS, IMITATED, adapted, assert_close, lean, states

from alive.engines.follower import Follower
from alive.engines.lean import LeanDecoder
from alive.engines.lora import with_lora
from alive.engines.memory import activation_bytes
from alive.engines.precision import Precision
from alive.learn.batch import micro_batches
from alive.learn.head import decoder_of
from alive.learn.loss import Forward
from alive.learn.update import Teacher, make_optimiser, role_weights, update

# One token each: what continues a shared beginning is then read one token at a time.
BRIEF = [record((*BEGUN, at), (at + 1,)) for at in (40, 44, 48)]
REWARDED = [
    replace(
        one,
        weight=weight,
        loss="policy_gradient",
        sampling_logprobs=tuple(-2.0 for _ in one.completion_ids),
    )
    for one, weight in zip(IMITATED, (1.0, -0.5, 2.0, -1.0), strict=True)
]
TOLD = [
    replace(one, loss="distil", informed_prompt_ids=(9, 8, *one.prompt_ids)) for one in IMITATED
]
RECORDS = {"imitated": IMITATED, "brief": BRIEF, "rewarded": REWARDED, "told": TOLD}


def gradients(
    forward: Forward, records: Any, share: bool = True, teacher: Teacher | None = None
) -> tuple[dict[str, torch.Tensor], Any]:
    """Of every weight that trains, after clipping; and what else the step says."""
    kept: dict[str, torch.Tensor] = {}
    weights = {n: w for n, w in forward.model.named_parameters() if w.requires_grad}

    def keep(_: Any) -> None:
        kept.update({name: w.grad.clone() for name, w in weights.items() if w.grad is not None})

    stats = update(
        forward,
        make_optimiser(forward.model, CONFIG),
        records,
        CONFIG,
        learning_rate=0.0,
        pad_id=0,
        share=share,
        apply=keep,
        teacher=teacher,
    )
    assert kept.keys() == weights.keys()
    return kept, stats


def assert_same_step(found: Any, expected: Any) -> None:
    (ours, our_stats), (theirs, their_stats) = found, expected
    for name, gradient in theirs.items():
        assert_close(ours[name], gradient)
        assert gradient.abs().max() > 0, name
    assert our_stats.loss == pytest.approx(their_stats.loss, rel=1e-5)
    assert our_stats.grad_norm == pytest.approx(their_stats.grad_norm, rel=1e-5)


@FAMILIES
@pytest.mark.parametrize("share", [True, False], ids=["shared", "whole"])
@pytest.mark.parametrize("records", RECORDS.values(), ids=RECORDS)
def test_gradients_are_those_of_the_models_own_pass(make, records, share: bool) -> None:
    model = make()
    batches = list(micro_batches(records, role_weights(CONFIG), 0, 4096, share=share))
    if records is not TOLD:
        assert any(batch.prefix_ids is not None for batch in batches) == share
    passes = Forward.of(model, torch.float32, lean(model)), Forward.of(model)
    found, expected = (gradients(forward, records, share) for forward in passes)
    assert_same_step(found, expected)


@FAMILIES
@pytest.mark.parametrize("share", [True, False], ids=["shared", "whole"])
@pytest.mark.parametrize("records", RECORDS.values(), ids=RECORDS)
def test_gradients_are_the_same_bits_where_activations_are_computed_again(
    make, records, share: bool
) -> None:
    model = make()
    decoder = lean(model)
    forward = Forward.of(model, torch.float32, decoder)
    kept, stats = gradients(forward, records, share=share)
    with decoder.recomputed():
        again, told = gradients(forward, records, share=share)
    assert told == stats
    assert all(torch.equal(again[name], gradient) for name, gradient in kept.items())


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("low", [False, True], ids=["float32", "bfloat16"])
def test_layers_that_are_computed_again_keep_their_input_alone(low: bool, rank: int) -> None:
    """Of each token 32 float32 numbers a layer; the last norm and the rotations keep some more."""
    compute = Precision("bfloat16" if low else "float32", "cpu")
    model = tiny_models.LEAN["llama"]()
    if rank:
        model = with_lora(model, rank, 4.0)
    decoder = LeanDecoder(model, compute.dtype)
    kept = activation_bytes(model, compute.autocast(), decoder)
    with decoder.recomputed():
        again = activation_bytes(model, compute.autocast(), decoder)
    assert 2 * 32 * 4 <= again < min(kept / 3, 5 * 32 * 4)
    assert activation_bytes(model, compute.autocast(), decoder) == kept


def test_an_error_ends_the_recomputing() -> None:
    model = llama()
    decoder = lean(model)
    kept = activation_bytes(model, nullcontext(), decoder)
    with pytest.raises(RuntimeError, match="torn"), decoder.recomputed():
        raise RuntimeError("torn")
    assert activation_bytes(model, nullcontext(), decoder) == kept


# --- adapters and teachers -------------------------------------------------------------------


@FAMILIES
@pytest.mark.parametrize("how", ["shared", "whole", "shared, recomputed"])
@pytest.mark.parametrize("records", RECORDS.values(), ids=RECORDS)
def test_gradients_of_adapters_are_those_of_the_models_own_pass(make, records, how: str) -> None:
    model = adapted(make)
    decoder = lean(model)
    expected = gradients(Forward.of(model), records, how[:6] == "shared", bare(model))
    with decoder.recomputed() if how[8:] else nullcontext():
        forward = Forward.of(model, torch.float32, decoder)
        found = gradients(forward, records, how[:6] == "shared", bare(model, decoder))
    assert_same_step(found, expected)


def bare(model: Any, decoder: Any = None) -> Teacher:
    """The base, as it speaks under the words."""
    return Teacher(Forward.of(model, torch.float32, decoder), model.disable_adapter)


@pytest.mark.parametrize("follow", [0.0, 0.5])
def test_a_teacher_of_its_own_is_passed_through_its_own_layers(follow: float) -> None:
    model = llama()
    forward = Forward.of(model, torch.float32, lean(model))

    def passing(twin: Any) -> Forward:
        return Forward.of(twin, torch.float32, lean(twin))

    taught = Follower(model, forward, follow, passing).teacher.forward
    before = states(decoder_of(model), IDS % 32, use_cache=False)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.25
    assert_close(states(taught.decoder, IDS % 32), before)
    own = states(decoder_of(model), IDS % 32, use_cache=False)
    assert_close(states(forward.decoder, IDS % 32), own)
    assert (own - before).norm() > 0.05 * own.norm()
