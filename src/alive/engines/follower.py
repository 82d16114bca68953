"""The policy as it speaks under the words: itself, or one that follows it at its own pace."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from alive.learn.loss import Forward
from alive.learn.update import Teacher

__all__ = ["Follower"]

_PREFIX = "teacher."


class Follower:
    """Keeps the weights of a teacher.

    Where it is the policy of the moment it needs none, and of adapters that were never trained the
    base is enough; else it is a copy of what trains, in float32.

    Attributes:
        teacher: For ``update``.
    """

    def __init__(
        self,
        model: Any,
        forward: Forward,
        follow: float,
        passing: Callable[[Any], Forward] = Forward.of,
    ) -> None:
        """Begins where the model is.

        Args:
            model: The policy's, before it has learned.
            forward: Its forward pass.
            follow: How far the teacher goes towards the policy after each step, 0..1.
            passing: Makes the forward pass of a copy of the model.
        """
        self._model, self._follow = model, follow
        self._copied: dict[str, Tensor] = {}
        self.teacher = Teacher(forward)
        if follow == 0 and hasattr(model, "peft_config"):
            self.teacher = Teacher(forward, model.disable_adapter)
        elif follow < 1:
            frozen = [p for p in model.parameters() if not p.requires_grad]
            shared = {id(tensor): tensor for tensor in (*frozen, *model.buffers())}
            twin = copy.deepcopy(model, shared).requires_grad_(False)
            self.teacher = Teacher(passing(twin))
            trains = {name for name, p in model.named_parameters() if p.requires_grad}
            self._copied = {name: p for name, p in twin.named_parameters() if name in trains}

    @torch.no_grad()
    def step(self) -> None:
        """Goes after the policy, which has just learned."""
        if self._follow:
            for name, weight in self._copied.items():
                weight.lerp_(self._model.get_parameter(name), self._follow)

    def tensors(self) -> dict[str, Tensor]:
        """What an exact resume needs."""
        return {_PREFIX + name: p.detach().cpu().contiguous() for name, p in self._copied.items()}

    @torch.no_grad()
    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Goes back to what ``tensors`` returned."""
        for name, weight in self._copied.items():
            weight.copy_(saved[_PREFIX + name])
