"""What decoding may take, and what a forward pass keeps."""

from __future__ import annotations

import platform
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import llama

from alive.engines.lean import LeanDecoder
from alive.engines.memory import activation_bytes, decode_budget, free_bytes, most_used

GIB = 1 << 30


@pytest.mark.parametrize(
    ("free", "budget"),
    [
        (3 * GIB, GIB),
        (4 * GIB, 2 * GIB),
        (5 * GIB, 2 * GIB),
        (8 * GIB - 1, 2 * GIB),
        (0, GIB // 16),
        (-8 * GIB, GIB // 16),  # more is to come than there is room for
    ],
)
def test_a_batch_may_take_half_of_what_is_free(free: int, budget: int) -> None:
    assert decode_budget("cuda", free) == budget


@given(st.integers(0, 1 << 40))
def test_the_budget_is_a_power_of_two(free: int) -> None:
    """A machine with a little more free decodes the same batches."""
    budget = decode_budget("cuda", free)
    assert budget & (budget - 1) == 0
    assert budget == 1 << 26 or free / 4 < budget <= free / 2


def test_a_cpu_takes_the_same_whatever_else_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = SimpleNamespace(total=24 * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: whole)
    budgets = {decode_budget("cpu", free * GIB) for free in (5, 8, 12, 20)}
    assert budgets == {2 * GIB}
    assert decode_budget("cpu", 2 * GIB) == GIB


def test_something_is_free_here() -> None:
    assert free_bytes("cpu") > 0
    assert most_used("cpu") == 0


def test_a_llama_keeps_what_its_blocks_save() -> None:
    """Numbers a token and layer, by hand: two norms, two residuals and attention's input and output
    are some 8 wide ones of 16; queries, keys and values 4 heads of 8; the gate's 4 of 32.
    """
    by_hand = 2 * (8 * 16 + 4 * (2 + 1) * 8 + 4 * 32) * 4
    found = activation_bytes(llama(), nullcontext())
    assert by_hand / 2 < found < 2 * by_hand
    assert activation_bytes(llama(layers=4), nullcontext()) == pytest.approx(2 * found, rel=0.1)


def test_a_lean_pass_is_counted_itself() -> None:
    """In bfloat16 it casts what several matrices read once, and keeps one copy of it.

    That are 2 norms' results of 16 numbers of 2 bytes in each layer, for 3 and for 2 readers.
    """
    low = torch.autocast("cpu", dtype=torch.bfloat16)
    found = {}
    for layers in (2, 4):
        model = llama(layers=layers)
        lean = found[layers] = activation_bytes(model, low, LeanDecoder(model, torch.bfloat16))
        saved = activation_bytes(model, low) - lean
        assert saved == layers * ((3 - 1) + (2 - 1)) * 16 * 2
    assert found[4] == pytest.approx(2 * found[2], rel=0.1)


@pytest.mark.parametrize("lean", [False, True])
def test_bfloat16_keeps_less(lean: bool) -> None:
    low = torch.autocast("cpu", dtype=torch.bfloat16)
    model, bytes_kept = llama(), []
    for dtype, context in ((torch.bfloat16, low), (torch.float32, nullcontext())):
        decoder = LeanDecoder(model, dtype) if lean else None
        bytes_kept.append(activation_bytes(model, context, decoder))
    assert bytes_kept[0] < bytes_kept[1]


def test_counting_leaves_no_gradient() -> None:
    model = llama()
    activation_bytes(model, nullcontext())
    assert all(weight.grad is None for weight in model.parameters())


HOLES = """
import sys
import psutil, torch
from alive.engines.memory import give_back_freed

if "give" in sys.argv:
    give_back_freed()
before = psutil.Process().memory_info().rss
torch.ones(1 << 19)  # freed at once: from here on glibc's own threshold lies above 2 MiB
blocks = [(torch.ones(1 << 19), torch.ones(16384)) for _ in range(100)]
kept = [small for _, small in blocks]
del blocks
print(psutil.Process().memory_info().rss - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_what_is_freed_is_given_back() -> None:
    left = {}
    for how in ("keep", "give"):
        command = [sys.executable, "-c", HOLES, how]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        left[how] = int(done.stdout)
    assert left["keep"] > 100 << 20
    assert left["give"] < 30 << 20
