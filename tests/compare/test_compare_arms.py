"""Arms change what they name and nothing else."""

from __future__ import annotations

import pytest

from alive.arms import check
from alive.compare import ABLATIONS, ARMS, chosen_arms
from alive.compare.arms import ENDLESS, settings_of
from alive.errors import ConfigError
from alive.settings import build_config, load_config

SHARED = load_config(
    preset="quickstart",
    overrides=["warmup.steps=1"],  # all there is to ablate
)


def settings(name: str, **more):
    [arm] = chosen_arms(name, "", SHARED) if name in ARMS else chosen_arms("", name, SHARED)
    options = {
        "rate": 0.0,
        "seed": 3,
        "corpus": "",
        "budget": 7,
        "out": "here",
        "suites": ["seed"],
        **more,
    }
    return settings_of(arm, SHARED, **options)


def test_every_arm_is_budgeted_alike() -> None:
    for name in [*ARMS, *ABLATIONS]:
        found = settings(name)
        assert (found.budget_tokens, found.steps, found.seed, found.out) == (7, ENDLESS, 3, "here")
        assert found.evaluate.suites == ()
        assert found.corpus.held_out == ("seed",)
        assert found.model.threads == 1
        # A policy gradient needs completions as likely as the policy would write them.
        as_written = SHARED.sampling.model_copy(update={"temperature": 1.0})
        assert found.sampling == (as_written if name.startswith("grpo") else SHARED.sampling)
        check(found)
        same = ("documents_per_step", "masks_per_document", "solutions_per_mask")
        assert all(getattr(found.game, key) == getattr(SHARED.game, key) for key in same)


def test_arms_differ_where_they_say() -> None:
    alive = settings("alive")
    assert (alive.arm, alive.learn) == ("alive", SHARED.learn)
    assert settings("grpo").arm == "grpo"
    assert settings("rft").arm == "rft"
    assert not settings("grpo").game.conditioned
    assert settings("random-mask").game.random_share == 1.0
    assert settings("oracle").warmup.steps == ENDLESS
    fcp = settings("fcp")
    assert (fcp.arm, fcp.learn.review_weight, fcp.learn.pose_weight) == ("alive", 0.0, 0.0)
    assert settings("corrected").learn.corrected_weight == 0.0
    assert (settings("star").arm, settings("star").game.conditioned) == ("star", False)
    assert not settings("self-refine").game.privileged
    words, conditions = settings("words").game, settings("conditions").game
    assert (words.conditioned, words.revise_from) == (False, "nothing")
    assert (conditions.conditioned, conditions.revise_from) == (False, "review")


def test_rate_and_corpus_are_the_cells() -> None:
    found = settings("alive", rate=0.5, corpus="builtin:primer-code")
    assert found.learn.learning_rate == 0.5
    assert found.corpus.paths == ("builtin:primer-code",)
    assert settings("alive").corpus.paths == SHARED.corpus.paths


def test_names_are_checked() -> None:
    assert [arm.name for arm in chosen_arms("base, alive", "words", SHARED)] == [
        "base",
        "alive",
        "alive-words",
    ]
    with pytest.raises(ConfigError, match="no arm named ppo; there are base, rft"):
        chosen_arms("base,ppo", "", SHARED)
    with pytest.raises(ConfigError, match="no arm named all; there are adversary"):
        chosen_arms("", "all", SHARED)


def test_an_arm_of_the_users_own_is_named_like_in_the_settings() -> None:
    [arm] = chosen_arms("alive.arms:records", "", SHARED)
    assert (arm.name, arm.changes, arm.trains) == (
        "alive.arms:records",
        {"arm": "alive.arms:records"},
        True,
    )
    with pytest.raises(ConfigError, match=r"alive\.arms:recrods: .* no recrods"):
        chosen_arms("alive.arms:recrods", "", SHARED)


def test_what_is_off_cannot_be_ablated() -> None:
    with pytest.raises(ConfigError, match="--ablate warm-up: these settings do without it already"):
        chosen_arms("alive", "warm-up", load_config(preset="quickstart"))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("sampling.temperature=0.5", "temperature is 0.5; arm grpo needs 1. Add --set sampling.te"),
        ("sampling.top_p=0.9", "top_p is 0.9; arm grpo needs 1. Add --set sampling.top_p=1"),
    ],
)
def test_a_policy_gradient_from_other_completions_is_refused(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"sampling.{said}"):
        check(load_config(overrides=["arm=grpo", override]))
    check(load_config(overrides=["arm=alive", override]))


def test_the_arms_of_a_comparison_that_need_it_sample_as_the_policy_writes() -> None:
    shared = load_config(preset="quickstart", overrides=["sampling.top_p=0.9"])
    for name in ("grpo", "grpo-words"):
        [arm] = chosen_arms(name, "", shared)
        check(build_config([("shared", shared.model_dump()), (name, arm.changes)]))
