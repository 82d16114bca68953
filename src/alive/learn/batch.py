"""Training records to padded tensors, prompts of a group held once.

Records that share a prompt share its forward pass: U unique prompts are encoded once and their
key-value cache is handed to the B completions that follow them. Gradients are those of B full rows
(source of the equivalence: arXiv 2506.05433).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from alive.types import TrainingRecord


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """One forward and backward pass.

    Attributes:
        prompt_ids: [U, P], padded on the left so that all prompts end together.
        prompt_mask: [U, P], 1 on real tokens.
        owner: [B], the prompt of each completion.
        completion_ids: [B, T], padded on the right.
        completion_mask: [B, T], 1 on real tokens.
        weights: [B, T], the loss weight of each token, 0 on padding.
        roles: The B records' roles.
    """

    prompt_ids: Tensor
    prompt_mask: Tensor
    owner: Tensor
    completion_ids: Tensor
    completion_mask: Tensor
    weights: Tensor
    roles: tuple[str, ...]


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


def token_weights(
    records: Sequence[TrainingRecord], role_weights: dict[str, float]
) -> list[float]:
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

    Records are ordered by prompt length, then prompt, so that a group stays together and padding
    stays small. A single record longer than ``max_tokens`` makes a pass of its own.
    """
    weights = token_weights(records, role_weights)
    order = sorted(
        (i for i in range(len(records)) if weights[i]),
        key=lambda i: (
            len(records[i].prompt_ids),
            records[i].prompt_ids,
            len(records[i].completion_ids),
        ),
    )
    chosen: list[int] = []
    for i in order:
        if chosen and _cost(records, [*chosen, i]) > max_tokens:
            yield _collate(records, weights, chosen, pad_id)
            chosen = []
        chosen.append(i)
    if chosen:
        yield _collate(records, weights, chosen, pad_id)


def _cost(records: Sequence[TrainingRecord], chosen: Sequence[int]) -> int:
    prompts = {records[i].prompt_ids for i in chosen}
    longest_prompt = max(len(prompt) for prompt in prompts)
    longest = max(len(records[i].completion_ids) for i in chosen)
    return len(prompts) * longest_prompt + len(chosen) * longest


def _collate(
    records: Sequence[TrainingRecord], weights: Sequence[float], chosen: Sequence[int], pad_id: int
) -> MicroBatch:
    unique: dict[tuple[int, ...], int] = {}
    owner = [unique.setdefault(records[i].prompt_ids, len(unique)) for i in chosen]
    prompt_ids, prompt_mask = pad(list(unique), pad_id, left=True)
    completion_ids, completion_mask = pad(
        [records[i].completion_ids for i in chosen], pad_id, left=False
    )
    row_weights = torch.tensor([weights[i] for i in chosen], dtype=torch.float32)
    return MicroBatch(
        prompt_ids=prompt_ids,
        prompt_mask=prompt_mask,
        owner=torch.tensor(owner, dtype=torch.long),
        completion_ids=completion_ids,
        completion_mask=completion_mask,
        weights=row_weights[:, None] * completion_mask,
        roles=tuple(records[i].role for i in chosen),
    )
