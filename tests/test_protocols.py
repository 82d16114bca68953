"""A run speaks to its model through the protocols alone: here is one without a single weight."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fakes import ScriptedSampler, encode
from rich.console import Console

from alive.engines import local
from alive.loop import train
from alive.prompts import make_renderer
from alive.protocols import Request, UpdateStats, Usage
from alive.settings import build_config
from alive.types import Rollout, TrainingRecord

NAMES = [a + b for a in "ABCDEFGH" for b in "aeiou"]
OPEN = "\n\n\\boxed{"
REVIEW = "Summary: {0}\nVerdict: {0}\nScore: 5"


@dataclass
class ScriptedPolicy:
    """Satisfies ``Policy`` by a script; a new version is heard of once it is published.

    Attributes:
        heard: What it was asked for, in order.
        taught: The records of each update.
    """

    sampler: ScriptedSampler
    identity: str = "a script"
    version: int = 0
    usage: Usage = field(default_factory=Usage)
    choices: Mapping[str, Any] = field(default_factory=lambda: {"dtype": "float32"})
    guard: Callable[[], AbstractContextManager[Any]] = nullcontext
    saves_alone: bool = True
    heard: list[str] = field(default_factory=list)
    taught: list[Sequence[TrainingRecord]] = field(default_factory=list)

    async def sample(self, request: Request) -> list[Rollout]:
        self.heard.append(request.prompt.role)
        rollouts = await self.sampler.sample(request)
        drawn = sum(len(rollout.completion_ids) for rollout in rollouts)
        self.usage = replace(self.usage, tokens_sampled=self.usage.tokens_sampled + drawn)
        return [replace(rollout, policy_version=self.version) for rollout in rollouts]

    def update(self, records: Sequence[TrainingRecord], learning_rate: float) -> UpdateStats:
        self.heard.append("update")
        self.taught.append(records)
        self.version += 1
        tokens = sum(len(record.completion_ids) for record in records)
        self.usage = replace(self.usage, tokens_trained=self.usage.tokens_trained + tokens)
        return UpdateStats(0.5, {"solve": 0.5}, 1.0, tokens)

    def publish(self) -> None:
        self.heard.append("publish")

    def save(self, folder: Path | None) -> None:
        assert folder is not None
        folder.mkdir(exist_ok=True)
        (folder / "script.txt").write_text(str(self.version))

    def tensors(self) -> Mapping[str, Any]:
        return {}

    def restore(self, folder: Path, tensors: Mapping[str, Any], version: int) -> None:
        assert (folder / "script.txt").read_text() == str(version)
        assert tensors == {}
        self.heard.append("restore")
        self.version = version


@pytest.fixture
def renderer(chat_tokenizer):
    return make_renderer(chat_tokenizer)


@pytest.fixture
def policy(renderer) -> ScriptedPolicy:
    """Boxes its answers once it has learned anything, and before that when it is asked."""

    def script(prompt, text: str, index: int) -> str:
        if prompt.role == "pose":
            return "7"
        if "birds" not in text:
            return "of what"  # asked without a passage
        if prompt.role == "review":
            return REVIEW.format("right" if "\\boxed{7}" in text else "wrong")
        if text.endswith(OPEN):
            return text.removesuffix(f".{OPEN}")[-1]
        # The first attempt of a group is wrong, and a revision right.
        answer = "3" if prompt.role == "solve" and index == 0 else "7"
        return f"\\boxed{{{answer}}}" if made.version else f"It is {answer}."

    made = ScriptedPolicy(ScriptedSampler(script, read=renderer.show))
    return made


@pytest.fixture
def play(policy, renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(local, "load_policy", lambda *_: (policy, renderer))
    corpus = tmp_path / "corpus.jsonl"
    texts = [f"They met {name} and saw some birds; there were 7 in all." for name in NAMES]
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    suite = tmp_path / "birds.jsonl"
    rows = [{"question": f"{name} saw \\mask{{}} birds", "answer": "7"} for name in ("Mia", "Leo")]
    suite.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def of_steps(
        steps: int, resume: bool = False, warm: int = 0, every: int = 20
    ) -> dict[str, Any]:
        settings = {
            "steps": steps,
            "out": str(tmp_path / "run"),
            "checkpoint_every": 1,
            "model": {"threads": 1},
            "corpus": {"paths": [str(corpus)], "validation_share": 0.3},
            "game": {
                "documents_per_step": 2, "masks_per_document": 1, "solutions_per_mask": 4,
                "random_share": 0.0,
            },
            "sampling": {"solve_tokens": 64, "review_tokens": 64},
            "warmup": {"steps": warm},
            "evaluate": {"suites": [str(suite)], "every": 1, "conditions_every": every},
        }  # fmt: skip
        console = Console(file=io.StringIO())
        return train(build_config([("test", settings)]), resume, console)

    return of_steps


def test_a_run_of_a_scripted_policy(play, policy: ScriptedPolicy) -> None:
    summary = play(1)
    assert (summary["steps"], summary["tasks"]) == (1, 2)
    assert summary["documents"] == 2
    assert summary["before"]["accuracy"] == summary["after"]["accuracy"] == 0.0
    assert policy.heard[0] == "publish"  # the weights it begins with
    assert policy.heard.count("update") == policy.heard.count("publish") - 1 == 1
    # New weights reach the sampler before anything is asked of them.
    after = [policy.heard[at + 1] for at, what in enumerate(policy.heard) if what == "update"]
    assert after == ["publish"]
    assert summary["tokens_trained"] == policy.usage.tokens_trained > 0


def test_every_sampled_completion_is_learned_with_its_log_probabilities_and_version(
    play, policy: ScriptedPolicy
) -> None:
    play(2)
    # Reviews are learned again: some of the second step are of the first.
    first, second = (
        {version: [r for r in taught if r.policy_version == version] for version in (0, 1)}
        for taught in policy.taught
    )
    assert [len(first[0]), len(second[0]) + len(second[1])] == [len(t) for t in policy.taught]
    assert {r.role for r in second[0]} <= {"review"}
    for records in (first[0], second[1]):
        assert {r.role for r in records} == {"pose", "solve", "review", "revise"}
    for record in (*first[0], *second[0], *second[1]):
        assert record.loss == "likelihood"
        assert record.completion_ids
        # Attempts of the first step are asked for their answer: as they are nobody drew them.
        asked = record.role in ("solve", "revise") and not record.policy_version
        told = 0 if asked else len(record.completion_ids)
        assert len(record.sampling_logprobs) == told


def test_attempts_without_a_box_are_asked_for_their_answer_and_learned_with_it(
    play, policy: ScriptedPolicy, renderer, tmp_path: Path
) -> None:
    play(2)
    rows = [
        row
        for shard in sorted((tmp_path / "run" / "episodes").iterdir())
        for row in pq.read_table(shard).to_pylist()
    ]
    assert {(row["step"], row["role"], row["asked"]) for row in rows} == {
        *((0, "solve", True), (0, "revise", True), (1, "solve", False), (1, "revise", False)),
    }
    assert [row["extracted"] for row in rows if row["role"] == "solve"] == 4 * ["3", "7", "7", "7"]
    taught = [
        {r.completion_ids for r in records if r.role in ("solve", "revise")}
        for records in policy.taught
    ]
    # What it wrote, the box that was opened behind it, and the end; later what it wrote alone.
    assert taught[0] == {renderer.complete(f"It is 7.{OPEN}7}}")}
    assert taught[1] == {encode("\\boxed{7}")}
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["answered"] for line in lines] == [0.0, 1.0]


@pytest.mark.parametrize("separates", [False, True])
def test_whether_words_separate_is_asked_after_warm_up_and_again(
    play, policy: ScriptedPolicy, renderer, tmp_path: Path, separates: bool
) -> None:
    """They are said in warm-up whatever was found, then as the last check says; none is final."""
    plain = policy.sampler.script

    def script(prompt, text: str, index: int) -> str:
        # From the fourth version on words turn the other way.
        turned = separates != (policy.version >= 4)
        if turned and prompt.condition == renderer.words.solve_negative:
            return "\\boxed{3}"
        return plain(prompt, text, index)

    policy.sampler.script = script
    summary = play(7, warm=2, every=2)
    asked = summary["conditions_asked"]
    assert [(one["step"], one["separates"]) for one in asked] == [
        (2, separates),
        (4, not separates),
        (6, not separates),
    ]
    assert summary["conditions"] == asked[-1]
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    gaps = {row["step"]: row["words_gap"] for row in map(json.loads, lines) if "words_gap" in row}
    assert gaps == {one["step"]: one["gap"] for one in asked}
    opening = renderer.templates.condition[0]
    spoken = [
        any(opening in renderer.show(r.prompt_ids) for r in taught if r.role == "solve")
        for taught in policy.taught
    ]
    assert spoken == [True, True, *[separates] * 2, *[not separates] * 3]


def test_the_date_that_a_chat_template_asks_for_is_in_the_record(
    play, policy: ScriptedPolicy, chat_tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = copy.deepcopy(chat_tokenizer)
    tokenizer.chat_template = "{{ strftime_now('%d %b %Y') }}:" + tokenizer.chat_template
    renderer = make_renderer(tokenizer)
    policy.sampler.read = renderer.show
    monkeypatch.setattr(local, "load_policy", lambda *_: (policy, renderer))
    play(1)
    told = json.loads((tmp_path / "run" / "model.json").read_text())
    assert told == {
        "model": "a script",
        "dtype": "float32",
        "prompts": renderer.identity["prompts"],
        "date": "2026-01-01",
    }
    prompts = [renderer.show(request.prompt.ids) for request in policy.sampler.calls]
    assert prompts
    assert all(text.startswith("01 Jan 2026:") for text in prompts)


def test_measuring_leaves_no_count_behind(play, policy: ScriptedPolicy) -> None:
    summary = play(1)
    assert 0 < summary["tokens_sampled"] < policy.usage.tokens_sampled


def test_a_scripted_run_goes_on(play, policy: ScriptedPolicy) -> None:
    once = play(1)
    used = policy.usage
    policy.usage, policy.heard = Usage(), []
    summary = play(2, resume=True)
    assert policy.heard[0] == "restore"
    assert policy.version == 2
    assert summary["tokens_trained"] > once["tokens_trained"] == used.tokens_trained
    assert summary["tokens_sampled"] > once["tokens_sampled"]
