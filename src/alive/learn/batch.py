"""Training records to padded tensors; what records begin with in common is held once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from alive.learn.prefix import shared_prefixes
from alive.types import TrainingRecord


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """One forward and backward pass over B records.

    Either beginnings are shared and stand apart (U of them), or each row is whole.

    Attributes:
        ids: [B, T], padded on the right: what follows the shared beginning, else the whole record.
        mask: [B, T], 1 on completion tokens.
        weights: [B, T], the loss weight of each token, 0 off the completion.
        roles: The B records' roles.
        records: The places of the records that each of the B rows stands for, in what was given.
        sampled: [B, T], log-probabilities under the sampling policy, 0 off the completion; None
            where the rows are to be imitated. No batch mixes the two.
        prefix_ids: [U, P], padded on the left so that all end together; None if not shared.
        prefix_mask: [U, P], 1 on real tokens.
        owner: [B], the beginning that each row continues.
        informed: The same completions after the prompts that hold the words, where their
            distribution there is to be followed; None elsewhere.
    """

    ids: Tensor
    mask: Tensor
    weights: Tensor
    roles: tuple[str, ...]
    records: tuple[tuple[int, ...], ...]
    prefix_ids: Tensor | None = None
    prefix_mask: Tensor | None = None
    owner: Tensor | None = None
    sampled: Tensor | None = None
    informed: MicroBatch | None = None

    @property
    def kind(self) -> tuple[bool, bool, bool]:
        """What is done in its pass; of one kind, all take the same passes through the model."""
        return self.prefix_ids is not None, self.sampled is not None, self.informed is not None


@dataclass(frozen=True, slots=True)
class _Row:
    """A record cut where its shared beginning ends."""

    prefix: tuple[int, ...]
    rest: tuple[int, ...]
    completion: tuple[int, ...]
    weight: float
    role: str
    records: tuple[int, ...]
    sampled: tuple[float, ...] = ()
    informed: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        informed = len(self.informed) + len(self.completion) if self.informed else 0
        return len(self.rest) + len(self.completion) + informed


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
    """The loss weight of one token of each record: losses are normalised within their role.

    What is distilled counts as a role of its own. For role r with weight l_r it is
    ``l_r * w_i / sum_{j in r} |w_j| T_j``, so that the role's loss is ``l_r`` times a weighted mean
    over its tokens, however many records it has. Advantages are not normalised by themselves: of
    records with a policy gradient the tokens alone are counted. A completion without tokens, as of
    a prompt that left no room for one, has no weight.
    """
    mass: dict[tuple[str, bool], float] = {}
    for record in records:
        rewarded = record.loss == "policy_gradient"
        size = len(record.completion_ids) * (1.0 if rewarded else abs(record.weight))
        kind = record.role, record.loss == "distil"
        mass[kind] = mass.get(kind, 0.0) + size
    return [
        role_weights["distil" if record.loss == "distil" else record.role]
        * record.weight
        / mass[record.role, record.loss == "distil"]
        if record.weight and record.completion_ids
        else 0.0
        for record in records
    ]


def micro_batches(
    records: Sequence[TrainingRecord],
    role_weights: dict[str, float],
    pad_id: int,
    max_tokens: int,
    *,
    share: bool = True,
    parts: int = 1,
) -> Iterator[MicroBatch]:
    """Cuts records into passes of at most ``max_tokens`` tokens, padding included.

    Rows of like length go together, so that padding stays small. A single record longer than
    ``max_tokens`` makes a pass of its own; a record of weight 0 makes none, and what was sampled
    several times is one row with the weight of all. Where ``share`` is false each row is whole: a
    recurrent state is not shared, nor a cache that recomputing would fill again. Rows that are
    distilled are whole too. Those of one ``kind`` come one after another, in about ``parts`` equal
    shares or more.
    """
    live = _merged(records, token_weights(records, role_weights))
    prompts = [record.prompt_ids for record, _, _ in live]
    shared = shared_prefixes(prompts) if share else [0] * len(prompts)
    shared = [
        0 if record.loss == "distil" else length
        for (record, _, _), length in zip(live, shared, strict=True)
    ]
    rows = [
        _Row(
            record.prompt_ids[:length],
            record.prompt_ids[length:],
            record.completion_ids,
            weight,
            record.role,
            places,
            record.sampling_logprobs if record.loss == "policy_gradient" else (),
            record.informed_prompt_ids if record.loss == "distil" else (),
        )
        for (record, weight, places), length in zip(live, shared, strict=True)
    ]
    rows.sort(key=lambda row: (len(row.prefix), row.prefix, row.width))
    kinds = [(bool(row.sampled), bool(row.informed)) for row in rows]
    for kind in sorted(set(kinds)):  # a batch has one kind of loss
        alike = [row for row, own in zip(rows, kinds, strict=True) if own == kind]
        most = -(-sum(len(row.prefix) + row.width for row in alike) // parts)
        for chosen in _cut(alike, max_tokens if parts == 1 else min(max_tokens, most)):
            yield _collate(chosen, pad_id)


def _merged(
    records: Sequence[TrainingRecord], weights: Sequence[float]
) -> list[tuple[TrainingRecord, float, tuple[int, ...]]]:
    """Puts the same completions of the same prompts together: their gradients add up.

    With each stand the places of all that it is taken for.

    Equal completions have equal log-probabilities under the policy that sampled them, so that of
    those with a policy gradient the first can stand for all.
    """
    merged: dict[tuple[object, ...], tuple[TrainingRecord, float, tuple[int, ...]]] = {}
    for place, (record, weight) in enumerate(zip(records, weights, strict=True)):
        key = (
            record.role,
            record.prompt_ids,
            record.completion_ids,
            record.loss,
            record.informed_prompt_ids,
        )
        first, before, places = merged.get(key, (record, 0.0, ()))
        merged[key] = first, before + weight, (*places, place)
    return [one for one in merged.values() if one[1]]


def _cut(rows: Sequence[_Row], max_tokens: int) -> Iterator[list[_Row]]:
    """Cuts sorted rows into runs whose padded size stays within the limit, whole rows apart."""
    chosen: list[_Row] = []
    prefixes: set[tuple[int, ...]] = set()
    longest = 0
    for row in rows:
        # Sorted by it, so the newest prefix is the longest.
        size = (len(chosen) + 1) * max(longest, row.width)
        size += len(prefixes | {row.prefix}) * len(row.prefix)
        if chosen and (size > max_tokens or bool(row.prefix) != bool(chosen[0].prefix)):
            yield chosen
            chosen, prefixes, longest = [], set(), 0
        chosen.append(row)
        prefixes.add(row.prefix)
        longest = max(longest, row.width)
    if chosen:
        yield chosen


def _collate(rows: Sequence[_Row], pad_id: int) -> MicroBatch:
    ids, mask = pad([row.rest + row.completion for row in rows], pad_id, left=False)
    for i, row in enumerate(rows):
        mask[i, : len(row.rest)] = 0
    sampled = None
    if rows[0].sampled:
        sampled = torch.zeros(ids.shape, dtype=torch.float32)
        for i, row in enumerate(rows):
            sampled[i, len(row.rest) : row.width] = torch.tensor(row.sampled)
    informed = None
    if rows[0].informed:
        bare = [replace(row, prefix=(), rest=row.informed, informed=()) for row in rows]
        informed = _collate(bare, pad_id)
    scale = torch.tensor([row.weight for row in rows], dtype=torch.float32)
    weights, roles = scale[:, None] * mask, tuple(row.role for row in rows)
    places = tuple(row.records for row in rows)
    if not rows[0].prefix:
        return MicroBatch(ids, mask, weights, roles, places, sampled=sampled, informed=informed)
    unique: dict[tuple[int, ...], int] = {}
    owner = [unique.setdefault(row.prefix, len(unique)) for row in rows]
    prefix_ids, prefix_mask = pad(list(unique), pad_id, left=True)
    owners = torch.tensor(owner, dtype=torch.long)
    return MicroBatch(ids, mask, weights, roles, places, prefix_ids, prefix_mask, owners, sampled)
