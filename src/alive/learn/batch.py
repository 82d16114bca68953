"""Training records to padded tensors, prompts of a group held once.

Records that share a prompt share its forward pass: U unique prompts are encoded once and their
key-value cache is handed to the B completions that follow them. Gradients are those of B full rows
(source of the equivalence: arXiv 2506.05433).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from alive.types import TrainingRecord


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """One forward and backward pass over B records.

    Either the prompts are shared and stand apart (U of them), or each row holds its own prompt.

    Attributes:
        ids: [B, T], padded on the right: completions, with their prompts before them if not shared.
        mask: [B, T], 1 on completion tokens.
        weights: [B, T], the loss weight of each token, 0 off the completion.
        roles: The B records' roles.
        prompt_ids: [U, P], padded on the left so that all prompts end together; None if not shared.
        prompt_mask: [U, P], 1 on real tokens.
        owner: [B], the prompt of each completion.
    """

    ids: Tensor
    mask: Tensor
    weights: Tensor
    roles: tuple[str, ...]
    prompt_ids: Tensor | None = None
    prompt_mask: Tensor | None = None
    owner: Tensor | None = None


def pad(rows: Sequence[Sequence[int]], pad_id: int, *, left: bool) -> tuple[Tensor, Tensor]:
    """Pads token rows to one length.

    Returns:
        (ids, mask), both [B, longest row], mask 1 on real tokens.
    """
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad_id, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for i, row in enumerate(rows):
        where = slice(longest - len(row), longest) if left else slice(0, len(row))
        ids[i, where] = torch.tensor(row, dtype=torch.long)
        mask[i, where] = 1
    return ids, mask


def token_weights(records: Sequence[TrainingRecord], role_weights: dict[str, float]) -> list[float]:
    """The loss weight of one token of each record: likelihoods are normalised within their role.

    For role r with weight l_r: ``l_r * w_i / sum_{j in r} |w_j| T_j``, so that the role's loss is
    ``l_r`` times a weighted mean over its tokens, however many records it has.
    """
    mass: dict[str, float] = {}
    for record in records:
        size = abs(record.weight) * len(record.completion_ids)
        mass[record.role] = mass.get(record.role, 0.0) + size
    return [
        role_weights[record.role] * record.weight / mass[record.role] if record.weight else 0.0
        for record in records
    ]


def micro_batches(
    records: Sequence[TrainingRecord],
    role_weights: dict[str, float],
    pad_id: int,
    max_tokens: int,
) -> Iterator[MicroBatch]:
    """Cuts records into passes of at most ``max_tokens`` tokens, padding included.

    Rows of like length go together, so that padding stays small. A single record longer than
    ``max_tokens`` makes a pass of its own; a record of weight 0 makes none.
    """
    weights = token_weights(records, role_weights)
    live = [i for i in range(len(records)) if weights[i]]
    followers = Counter(records[i].prompt_ids for i in live)
    single = [i for i in live if followers[records[i].prompt_ids] == 1]
    shared = [i for i in live if followers[records[i].prompt_ids] > 1]
    single.sort(key=lambda i: len(records[i].prompt_ids) + len(records[i].completion_ids))
    shared.sort(key=lambda i: (len(records[i].prompt_ids), records[i].prompt_ids))
    for chosen in _cut(records, single, max_tokens, apart=False):
        yield _rows(records, weights, chosen, pad_id)
    for chosen in _cut(records, shared, max_tokens, apart=True):
        yield _grouped(records, weights, chosen, pad_id)


def _cut(
    records: Sequence[TrainingRecord], order: Sequence[int], max_tokens: int, *, apart: bool
) -> Iterator[list[int]]:
    """Cuts an order into runs whose padded size stays within the limit."""
    chosen: list[int] = []
    prompts: set[tuple[int, ...]] = set()
    longest_prompt = longest = 0
    for i in order:
        prompt, completion = records[i].prompt_ids, records[i].completion_ids
        width = len(completion) if apart else len(prompt) + len(completion)
        size = (len(chosen) + 1) * max(longest, width)
        if apart:
            size += len(prompts | {prompt}) * max(longest_prompt, len(prompt))
        if chosen and size > max_tokens:
            yield chosen
            chosen, prompts, longest_prompt, longest = [], set(), 0, 0
        chosen.append(i)
        prompts.add(prompt)
        longest, longest_prompt = max(longest, width), max(longest_prompt, len(prompt))
    if chosen:
        yield chosen


def _rows(
    records: Sequence[TrainingRecord], weights: Sequence[float], chosen: Sequence[int], pad_id: int
) -> MicroBatch:
    """Every record a row with its own prompt."""
    rows = [records[i].prompt_ids + records[i].completion_ids for i in chosen]
    ids, mask = pad(rows, pad_id, left=False)
    for row, i in enumerate(chosen):
        mask[row, : len(records[i].prompt_ids)] = 0
    scale = torch.tensor([weights[i] for i in chosen], dtype=torch.float32)
    roles = tuple(records[i].role for i in chosen)
    return MicroBatch(ids, mask, scale[:, None] * mask, roles)


def _grouped(
    records: Sequence[TrainingRecord], weights: Sequence[float], chosen: Sequence[int], pad_id: int
) -> MicroBatch:
    """Prompts apart, each encoded once for all of its completions."""
    unique: dict[tuple[int, ...], int] = {}
    owner = [unique.setdefault(records[i].prompt_ids, len(unique)) for i in chosen]
    prompt_ids, prompt_mask = pad(list(unique), pad_id, left=True)
    ids, mask = pad([records[i].completion_ids for i in chosen], pad_id, left=False)
    scale = torch.tensor([weights[i] for i in chosen], dtype=torch.float32)
    return MicroBatch(
        ids=ids,
        mask=mask,
        weights=scale[:, None] * mask,
        roles=tuple(records[i].role for i in chosen),
        prompt_ids=prompt_ids,
        prompt_mask=prompt_mask,
        owner=torch.tensor(owner, dtype=torch.long),
    )
