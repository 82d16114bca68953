"""What tests of the lean pass share: texts, records, and how states are compared."""

from __future__ import annotations

from typing import Any

import pytest
import tiny_models
import torch
from tiny import record

from alive.config import LearnConfig
from alive.engines.lean import LeanDecoder, lean_decoder
from alive.engines.lora import with_lora
from alive.engines.packing import can_pack

FAMILIES = pytest.mark.parametrize("make", tiny_models.LEAN.values(), ids=tiny_models.LEAN)

needs_packing = pytest.mark.skipif(not can_pack(), reason="this torch has no oneDNN")

IDS = torch.arange(30).reshape(2, 15) * 11 % 63 + 1

BEGUN = tuple(range(3, 29))
WRITTEN = [
    ((*BEGUN, 31), (32, 33)),
    ((*BEGUN, 34, 35), (36,)),
    ((*BEGUN, 37), (38, 39, 40, 41)),
    ((5, 6), (42, 43)),
]
IMITATED = [
    record(prompt, completion, role=role)
    for (prompt, completion), role in zip(
        WRITTEN, ("solve", "review", "solve", "pose"), strict=True
    )
]
CONFIG = LearnConfig(learning_rate=1e-2, distil_weight=2.0)


def lean(model: Any) -> LeanDecoder:
    found = lean_decoder(model, torch.float32)
    assert found is not None
    return found


def states(decoder: Any, ids: torch.Tensor, **given: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = decoder(input_ids=ids, **given).last_hidden_state
        return found


def assert_close(found: torch.Tensor, expected: torch.Tensor, share: float = 1e-5) -> None:
    """The difference is small beside the whole."""
    assert found.shape == expected.shape
    assert (found - expected).norm() <= share * expected.norm()


def adapted(make: Any) -> Any:
    """With adapters that do something."""
    model = with_lora(make(), 2, 4.0)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight += 0.2 * torch.randn(weight.shape, generator=generator)
    return model
