"""Settings of the loss and the optimiser."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from alive.config.kinds import CountOrZero, Section, Share

__all__ = ["LearnConfig"]


class LearnConfig(Section):
    """The loss and the optimiser."""

    learning_rate: Annotated[float, Field(ge=0.0)] = Field(
        0.0,
        description="Adam's, peak; 0: a usual one for the model's size, far lower where all "
        "weights train than for adapters",
    )
    weight_decay: Annotated[float, Field(ge=0.0)] = Field(0.0, description="AdamW's")
    pose_weight: Annotated[float, Field(ge=0.0)] = Field(0.2, description="lambda_C, pose loss")
    solve_weight: Annotated[float, Field(ge=0.0)] = Field(1.0, description="lambda_S, solve loss")
    review_weight: Annotated[float, Field(ge=0.0)] = Field(0.5, description="lambda_R, review loss")
    revise_weight: Annotated[float, Field(ge=0.0)] = Field(0.5, description="lambda_V, revise loss")
    negative_weight: Share = Field(
        0.0, description="weight of wrong attempts under their own words, relative to right ones"
    )
    corrected_weight: Annotated[float, Field(ge=0.0)] = Field(
        0.0, description="weight of corrected attempts as attempts, relative to right ones"
    )
    distil_weight: Annotated[float, Field(ge=0.0)] = Field(
        0.0,
        description="lambda_D, how far the plain prompt follows what the policy would write in an "
        "attempt's place once it has read more: see distil_from",
    )
    distil_from: Literal["review", "empty", "text", "nothing"] = Field(
        "review",
        description="what it has read: a wrong attempt's honest review; words that say nothing in "
        "its place, a control; the whole text that the task was made of; or nothing more, a "
        "control too, for it is sharpened alone",
    )
    distil_follow: Share = Field(
        1.0,
        description="how fast the policy that has read it is brought up to date, 0..1 a step; 0: "
        "that of the beginning",
    )
    micro_batch_tokens: CountOrZero = Field(
        0,
        description="tokens (padding included) of one forward and backward pass; 0: the most, up "
        "to 32,768, that fits the memory that is free at the start",
    )
    checkpointing: Literal["auto", "on", "off"] = Field(
        "auto",
        description="recompute activations in the backward pass; auto: where they would not fit",
    )

    sharding: Literal["auto", "on", "off"] = Field(
        "auto",
        description="of several ranks each holds a part of all weights, by FSDP2; auto: where they "
        "are GPUs and all weights train",
    )

    staleness: Literal[0, 1] = Field(
        0,
        description="1: the next step is played while this one is learned, by the weights from "
        "before it; 0: by those that have learned it",
    )

    @model_validator(mode="after")
    def _teacher_is_whole(self) -> LearnConfig:
        """A teacher with weights of its own is not sharded."""
        if self.sharding == "on" and self.keeps_teacher:
            raise PydanticCustomError(
                "together",
                "learn.distil_follow below 1 keeps a teacher's weights whole on every rank. Set "
                "learn.sharding=off, or train adapters with model.lora_rank=16",
            )
        return self

    def shards(self, ranks: int, *, on_gpus: bool, adapters: bool) -> bool:
        """Whether each of so many ranks holds a part of the weights alone.

        Not where a teacher holds weights of its own, which are whole.
        """
        if ranks == 1 or adapters or self.sharding == "off" or self.keeps_teacher:
            return False
        return on_gpus or self.sharding == "on"

    @property
    def keeps_teacher(self) -> bool:
        """Whether weights beside the policy's are kept, which follow them."""
        return self.distil_weight > 0 and self.distil_follow < 1

    @property
    def pass_tokens(self) -> int:
        """Tokens of one pass; the most there are where nobody planned."""
        return self.micro_batch_tokens or 8192
