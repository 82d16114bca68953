"""What each optimiser step learned: a row a training record, so that no gradient is without origin.

Episodes say what happened; these rows say what of it trained, in the very words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from alive.types import TrainingRecord

RECORD_COLUMNS: dict[str, str] = {
    "step": "int32",
    "role": "string",
    "document_id": "string",
    "task_id": "string",
    "attempt_index": "int32",
    "weight": "float64",
    "rehearsed": "bool",
    "prompt_tokens": "int32",
    "completion_tokens": "int32",
    "prompt": "string",
    "completion": "string",
    "loss": "string",
    "informed_prompt": "string",
}
"""Column -> Arrow type, in file order; docs/data-format.md says what each means."""


def record_rows(
    step: int,
    records: Sequence[TrainingRecord],
    replayed: Sequence[TrainingRecord],
    decode: Callable[[Sequence[int]], str],
) -> list[dict[str, Any]]:
    """Flattens what a step learned, in the order in which it was given to the learner.

    Args:
        step: The step.
        records: The step's own records.
        replayed: Earlier records that were learned again.
        decode: Turns token ids to text, special tokens shown.
    """
    return [
        {
            "step": step,
            "role": record.role,
            "document_id": record.document_id,
            "task_id": record.task_id,
            "attempt_index": record.attempt_index,
            "weight": record.weight,
            "rehearsed": rehearsed,
            "prompt_tokens": len(record.prompt_ids),
            "completion_tokens": len(record.completion_ids),
            "prompt": decode(record.prompt_ids),
            "completion": decode(record.completion_ids),
            "loss": record.loss,
            "informed_prompt": decode(record.informed_prompt_ids),
        }
        for rehearsed, part in ((False, records), (True, replayed))
        for record in part
        if record.weight  # without weight it is no part of the loss
    ]
