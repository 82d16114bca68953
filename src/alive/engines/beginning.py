"""What several rows of a pass of learning begin with: encoded once, read by each.

transformers' caches grow in place, so that a layer that is passed through again in the backward
pass would grow them again. Here what the first pass leaves behind never changes.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Beginning"]


class Beginning:
    """Keys and values of U beginnings, layer by layer; is filled and read as a cache is."""

    def __init__(self) -> None:
        """Holds nothing yet."""
        self._layers: list[tuple[Tensor, Tensor]] = []

    def get_seq_length(self) -> int:
        """Tokens that stand before those of the pass that fills it: none."""
        return 0

    def update(self, keys: Tensor, values: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """Keeps those of layer ``index``, [U, heads, P, D], unless the layer is passed again."""
        if index == len(self._layers):
            self._layers.append((keys, values))
        return keys, values

    def continued(self, owner: Tensor) -> _Continued:
        """What rows attend to that continue the beginnings ``owner`` [B]."""
        return _Continued(self._layers, owner)


class _Continued:
    """Beginnings as the rows that continue them see them."""

    def __init__(self, layers: list[tuple[Tensor, Tensor]], owner: Tensor) -> None:
        self._layers, self._owner = layers, owner

    def get_seq_length(self) -> int:
        """P."""
        return self._layers[0][0].shape[2]

    def update(self, keys: Tensor, values: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """Those of layer ``index`` [B, heads, T, D] behind what they continue."""
        begun = (states[self._owner] for states in self._layers[index])
        long_keys, long_values = (
            torch.cat(parts, 2) for parts in zip(begun, (keys, values), strict=True)
        )
        return long_keys, long_values
