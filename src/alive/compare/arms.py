"""The arms of a comparison: each is a name for changes of the settings all of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alive.arms import own
from alive.config import Config
from alive.errors import ConfigError
from alive.settings import build_config

ENDLESS = 10**9
"""Steps of a run that its token budget ends."""


@dataclass(frozen=True, slots=True)
class Arm:
    """What is compared.

    Attributes:
        name: As on the command line.
        about: What it is, for the report.
        changes: Settings that differ from those all arms share, by section.
        trains: Whether there is anything to train.
    """

    name: str
    about: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    trains: bool = True


_ALONE = {
    "game": {"conditioned": False},
    "learn": {"distil_weight": 0.0},
    "warmup": {"steps": 0},
}
_AS_IT_WRITES = {"sampling": {"temperature": 1.0, "top_p": 1.0}}
"""A policy gradient needs completions as likely as the policy would write them."""
_UNTRAINED = {
    "pose_weight": 0.0,
    "review_weight": 0.0,
    "revise_weight": 0.0,
    "corrected_weight": 0.0,
    "distil_weight": 0.0,
}

OWN = "an arm of your own"

ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm("base", "the model as it comes", trains=False),
        Arm("rft", "right attempts are imitated, nothing else", {"arm": "rft", **_ALONE}),
        Arm(
            "star",
            "the same, and wrong ones are tried again with the hidden text as a hint",
            {"arm": "star", **_ALONE},
        ),
        Arm(
            "grpo",
            "the match with the text is a reward",
            {"arm": "grpo", **_ALONE, **_AS_IT_WRITES},
        ),
        Arm(
            "grpo-words",
            "the same, half of the attempts sampled and trained under the positive words",
            {"arm": "grpo", "warmup": {"steps": 0}, **_AS_IT_WRITES},
        ),
        Arm(
            "fcp",
            "attempts under the words of a critic that does not learn; nor does the poser",
            {"learn": _UNTRAINED, "game": {"revisions_per_mask": 0}, "warmup": {"steps": 0}},
        ),
        Arm(
            "random-mask",
            "ALIVE on spans hidden at random",
            {"game": {"random_share": 1.0}, "learn": {"pose_weight": 0.0}},
        ),
        Arm(
            "oracle",
            "ALIVE with the warm-up's critiques throughout; the primer's can calculate",
            {"warmup": {"steps": ENDLESS}},
        ),
        Arm(
            "self-refine",
            "ALIVE whose reviewers never see the hidden text",
            {"game": {"privileged": False}, "warmup": {"steps": 0}},
        ),
        Arm("alive", "the whole method"),
        *(
            Arm(
                name,
                f"ALIVE whose revisions train only the reviser; it follows, token by token, {whom}",
                {
                    "learn": {
                        "corrected_weight": 0.0,
                        "distil_weight": 1.0,
                        "distil_follow": 0.0,
                        "distil_from": read,
                    }
                },
            )
            for name, read, whom in (
                ("distil", "review", "what it writes once it has read its review"),
                ("distil-empty", "empty", "what it writes there after words that say nothing"),
                ("distil-text", "text", "what it writes with the whole text in view"),
                ("distil-nothing", "nothing", "itself, only surer: a control of the others"),
            )
        ),
    )
}

ABLATIONS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm("adversary", "the poser does not learn", {"learn": {"pose_weight": 0.0}}),
        Arm("review", "the blind reviewer does not learn", {"learn": {"review_weight": 0.0}}),
        Arm("warm-up", "no teacher's critiques at the start", {"warmup": {"steps": 0}}),
        Arm(
            "words",
            "no words before any attempt, none that says what is wrong, and nothing distilled",
            {
                "game": {"conditioned": False, "revise_from": "nothing"},
                "learn": {"distil_weight": 0.0},
            },
        ),
        Arm("conditions", "no words before any attempt", {"game": {"conditioned": False}}),
        Arm("corrected", "corrected attempts do not train", {"learn": {"corrected_weight": 0.0}}),
    )
}


def about(name: str) -> str:
    """Says what an arm of a comparison is, by its name there."""
    table, name = (ABLATIONS, name.removeprefix("alive-")) if name[:6] == "alive-" else (ARMS, name)
    return table[name].about if name in table else OWN


def chosen_arms(names: str, ablated: str, shared: Config) -> list[Arm]:
    """Reads two comma-separated lists of names; an ablated arm is called ``alive-NAME``.

    Among the arms may be the user's own, as ``module:function``.

    Raises:
        ConfigError: There is no such arm, or with the shared settings ALIVE does without already.
    """
    chosen: list[Arm] = []
    for given, table, prefix in ((names, ARMS, ""), (ablated, ABLATIONS, "alive-")):
        for name in filter(None, (part.strip() for part in given.split(","))):
            if table is ARMS and ":" in name:
                own.load(name)
                chosen.append(Arm(name, OWN, {"arm": name}))
                continue
            if name not in table:
                raise ConfigError(
                    f"no arm named {name}; there are {', '.join(table)}"
                    + (", or your own as module:function" if table is ARMS else "")
                )
            arm = table[name]
            layers = [("the preset", shared.model_dump()), (f"arm {name}", arm.changes)]
            if table is ABLATIONS and build_config(layers) == shared:
                raise ConfigError(
                    f"--ablate {name}: these settings do without it already; leave it out, or "
                    "switch it on with --set (docs/algorithm.md)"
                )
            chosen.append(Arm(prefix + name, arm.about, arm.changes, arm.trains))
    return chosen


def settings_of(
    arm: Arm,
    shared: Config,
    *,
    rate: float,
    seed: int,
    corpus: str,
    budget: int,
    out: str,
    suites: Sequence[str],
) -> Config:
    """Returns the settings of one training run of a comparison.

    Args:
        arm: What is trained.
        shared: The settings all arms share.
        rate: The arm's learning rate; 0 for the shared one.
        seed: Run seed.
        corpus: A path that takes the place of the shared ones; empty for those.
        budget: Tokens sampled and trained after which it stops.
        out: Its run folder.
        suites: What it will be measured on, and must not have read.
    """
    run: dict[str, Any] = {
        "seed": seed,
        "steps": ENDLESS,
        "budget_tokens": budget,
        "out": out,
        "model": {"threads": 1},
        "evaluate": {"suites": []},
        "corpus": {"held_out": list(suites)},
    }
    if rate:
        run["learn"] = {"learning_rate": rate}
    if corpus:
        run["corpus"]["paths"] = [corpus]
    layers = [("the preset", shared.model_dump()), (f"arm {arm.name}", arm.changes), ("", run)]
    return build_config(layers)
