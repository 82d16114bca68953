"""Settings: one strict tree, units in the field docs. Unknown keys are errors.

Presets are TOML files in ``presets/``; a user's TOML file and ``--set section.key=value`` go on
top.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from alive.config.kinds import Count, CountOrZero, Positive, Section, Share, listed
from alive.config.learning import LearnConfig
from alive.urls import server_fault, teacher_fault

__all__ = [
    "ARMS",
    "LOOKS",
    "ComputeType",
    "Config",
    "CorpusConfig",
    "EvaluateConfig",
    "GameConfig",
    "LearnConfig",
    "LogConfig",
    "ModelConfig",
    "SamplingConfig",
    "Section",
    "WarmupConfig",
]

ComputeType = Literal["float32", "bfloat16"]
"""What matrix products are computed in."""

ARMS = ("alive", "rft", "star", "grpo")
"""Arms that come along."""

LOOKS = 60
"""Problems a suite, the first ones, that ``evaluate.every`` looks at: enough for a curve."""


def _arm(name: str) -> str:
    if name not in ARMS and not re.fullmatch(r"[^\W\d][\w.]*:\w+", name):
        known = ", ".join(repr(arm) for arm in ARMS)
        raise PydanticCustomError("arm", f"one of {known}, or your own as 'module:function'")
    return name


ArmName = Annotated[str, AfterValidator(_arm)]


class ModelConfig(Section):
    """The policy."""

    id: str = Field("seed", description="'seed', 'smollm2', a folder, or a hub id")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="compute type; auto: bfloat16 where a probe finds it faster, else float32; "
        "weights that train are float32 always",
    )
    threads: CountOrZero = Field(0, description="CPU threads; 0: chosen by a probe")
    lora_rank: CountOrZero = Field(0, description="rank of the LoRA adapters; 0: train all weights")
    lora_alpha: Positive = Field(32.0, description="scale of the LoRA adapters")
    base_bits: Literal[16, 4] = Field(
        16, description="4: the frozen base of LoRA in 4 bits, by bitsandbytes on a GPU"
    )
    prompts: str = Field("", description="folder whose files override the shipped prompts")

    @model_validator(mode="after")
    def _frozen_base(self) -> ModelConfig:
        """Weights of four bits cannot train."""
        if self.base_bits == 4 and not self.lora_rank:
            raise PydanticCustomError(
                "together",
                "model.base_bits = 4 needs adapters, for weights of four bits cannot train. "
                "Add --set model.lora_rank=16",
            )
        return self


class CorpusConfig(Section):
    """The raw text."""

    paths: tuple[str, ...] = Field(
        ("builtin:primer",),
        description="files, folders, Hugging Face datasets (on disk, OWNER/NAME), builtin:NAME",
    )
    chunk_tokens: Annotated[int, Field(ge=8)] = Field(256, description="longest document, tokens")
    validation_share: Share = Field(0.02, description="documents held out, by document, 0..1")
    held_out: tuple[str, ...] = Field(
        (), description="further suites, to be measured on later, that no document may repeat"
    )


class GameConfig(Section):
    """Pose, solve, review."""

    documents_per_step: Count = Field(1, description="D, documents a step")
    masks_per_document: Count = Field(8, description="M, tasks a document")
    solutions_per_mask: Annotated[int, Field(ge=2)] = Field(16, description="N, attempts a task")
    conditioned: bool = Field(
        True,
        description="half of a task's attempts are sampled under the positive words, where words "
        "separate",
    )
    random_share: Share = Field(0.125, description="share of M always filled at random, 0..1")
    revisions_per_mask: CountOrZero = Field(
        2, description="wrong attempts of a task that are revised after their review"
    )
    revise_from: Literal["review", "nothing"] = Field(
        "review",
        description="what a reviser is told: the review; or words that say nothing, as a control",
    )
    privileged: bool = Field(
        True, description="reviewers of training see the hidden span; false: as blind as deployed"
    )
    reviews_per_document: CountOrZero = Field(
        0, description="attempts at a document's tasks that are reviewed, hard tasks first; 0: all"
    )


class SamplingConfig(Section):
    """How completions are drawn."""

    model_config = ConfigDict(hide_input_in_errors=True)  # a URL may hold a secret

    temperature: Positive = Field(
        1.0, description="of training rollouts but reviews, which are greedy; arm grpo needs 1"
    )
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        1.0, description="nucleus mass; arm grpo needs 1"
    )
    pose_tokens: Count = Field(16, description="longest span proposal, tokens")
    solve_tokens: Count = Field(512, description="longest attempt, tokens")
    review_tokens: Count = Field(256, description="longest review, tokens")
    servers: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        (), description="URLs of vLLM servers that sample in this process's place, each a replica"
    )

    @model_validator(mode="after")
    def _usable_servers(self) -> SamplingConfig:
        """A server can be named to others."""
        fault = next(filter(None, map(server_fault, self.servers)), "")
        if not fault and len(set(self.servers)) < len(self.servers):
            fault = "names a server twice"
        if fault:
            raise PydanticCustomError("together", "{said}", {"said": f"sampling.servers {fault}"})
        return self


class WarmupConfig(Section):
    """Before the policy is on its own."""

    model_config = ConfigDict(hide_input_in_errors=True)  # a URL may hold a secret

    steps: CountOrZero = Field(
        8, description="S, steps in which both views of the reviewer learn a teacher's critiques"
    )
    teacher: str = Field(
        "auto",
        description="'auto': the world's own in a world, else the policy, as far as its critiques "
        "are honest; or the URL of an OpenAI-compatible endpoint",
    )
    teacher_model: str = Field("", description="model name the endpoint is asked for")

    @model_validator(mode="after")
    def _usable_teacher(self) -> WarmupConfig:
        """A teacher is an endpoint that can be named to others."""
        fault = "" if self.teacher == "auto" else teacher_fault(self.teacher)
        if fault:
            raise PydanticCustomError("together", "{said}", {"said": f"warmup.teacher {fault}"})
        return self


class EvaluateConfig(Section):
    """Before and after."""

    suites: tuple[str, ...] = Field(
        (), description="suite names or JSONL files evaluated before and after; none: no table"
    )
    limit: CountOrZero = Field(0, description="items a suite, 0: all")
    samples: CountOrZero = Field(
        0, description="attempts a problem at temperature 1, for sampled accuracy; 0: greedy alone"
    )
    every: CountOrZero = Field(
        0, description="steps between looks at held-out problems while training; 0: none"
    )
    condition_tasks: Count = Field(
        48, description="tasks on which conditions must separate to be trusted"
    )
    conditions_every: CountOrZero = Field(
        20, description="steps after which that is asked again; 0: only once, after warm-up"
    )
    self_correct: bool = Field(True, description="also measure self-correction and the reviewer")


class LogConfig(Section):
    """Live logging."""

    to: Annotated[
        tuple[Literal["tensorboard", "wandb", "trackio"], ...], BeforeValidator(listed)
    ] = Field((), description="'tensorboard', 'wandb', 'trackio', or a list of them")
    project: str = Field("alive", description="project in wandb and trackio")


class Config(Section):
    """One run."""

    seed: CountOrZero = Field(0, description="run seed")
    arm: ArmName = Field(
        "alive",
        description="what is learned: 'alive', 'rft', 'star', 'grpo', or your own as "
        "module:function",
    )
    steps: Count = Field(80, description="training steps, warm-up included")
    budget_tokens: CountOrZero = Field(
        0, description="stop once as many tokens were sampled and trained; 0: after the steps"
    )
    out: str = Field("", description="run folder; empty: runs/<date>-<model>")
    checkpoint_every: Count = Field(20, description="steps between checkpoints")
    checkpoint_minutes: CountOrZero = Field(
        15, description="minutes between checkpoints, beside checkpoint_every; 0: by steps alone"
    )
    keep_checkpoints: Count = Field(2, description="newest checkpoints kept")
    model: ModelConfig = ModelConfig()
    corpus: CorpusConfig = CorpusConfig()
    game: GameConfig = GameConfig()
    sampling: SamplingConfig = SamplingConfig()
    learn: LearnConfig = LearnConfig()
    warmup: WarmupConfig = WarmupConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    log: LogConfig = LogConfig()

    @property
    def shows_text(self) -> bool:
        """Whether the policy is asked with what is hidden in view, to be followed or as a hint."""
        followed = self.learn.distil_weight > 0 and self.learn.distil_from == "text"
        return followed or self.arm == "star"
