"""The whole corridor on a tiny model: what a run leaves, and that a stop changes nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file
from tiny import llama
from toy import STEPS, M, N, play, settings_of, write_corpus

from alive.cli import run
from alive.engines.local import LocalPolicy
from alive.engines.weights import save_folder
from alive.errors import RunError
from alive.protocols import Request

Straight = tuple[Path, dict[str, Any], str]


@pytest.fixture(scope="session")
def world(toy_world: Path) -> Path:
    return toy_world


@pytest.fixture
def settings(world: Path, tmp_path: Path) -> dict[str, Any]:
    return settings_of(world, tmp_path / "run")


def result_of(folder: str | Path) -> tuple[Any, ...]:
    """All of a finished run that does not depend on the clock or on when checkpoints were made."""
    folder = Path(folder)
    summary = json.loads((folder / "summary.json").read_text())
    del summary["seconds"]
    last = folder / "checkpoints" / f"step-{STEPS:06d}"
    state = json.loads((last / "state.json").read_text())
    del state["seconds"]
    shards = [
        pq.read_table(path).to_pylist()
        for part in ("episodes", "records")
        for path in sorted(folder.glob(f"{part}/*"))
    ]
    return (
        (folder / "metrics.jsonl").read_bytes(),
        summary,
        state,
        [path.read_bytes() for path in sorted((last / "model").glob("*.safetensors"))],
        (last / "state.safetensors").read_bytes(),
        shards,
        json.loads((folder / "after.json").read_text()),
    )


@pytest.fixture(scope="session")
def straight(toy_run: Straight) -> Straight:
    return toy_run


def strike(monkeypatch: pytest.MonkeyPatch, at: str, version: int, act: Callable[[], None]) -> None:
    """Acts once, when the policy of a version is first asked for a role or to update."""
    pending = [act]

    def asked(policy: LocalPolicy, what: str) -> None:
        if (what, policy.version) == (at, version) and pending:
            pending.pop()()

    async def sample(self: LocalPolicy, request: Request) -> Any:
        asked(self, request.prompt.role)
        return await true_sample(self, request)

    def update(self: LocalPolicy, *rest: Any) -> Any:
        asked(self, "update")
        return true_update(self, *rest)

    true_sample, true_update = LocalPolicy.sample, LocalPolicy.update
    monkeypatch.setattr(LocalPolicy, "sample", sample)
    monkeypatch.setattr(LocalPolicy, "update", update)


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def stopped_and_resumed(
    settings: dict[str, Any], out: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Plays the settings in another folder, with a Ctrl-C in the middle of step 1."""
    other = {**settings, "out": str(out)}
    with monkeypatch.context() as patch:
        strike(patch, "review", 1, press_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            play(other)
    play(other, resume=True)
    return out


def test_a_run_leaves_its_record(straight: Straight) -> None:
    folder, summary, shown = straight
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "environment.json", "model.json", "lock", "metrics.jsonl"),
        *("before.json", "after.json", "summary.json", "episodes", "records", "checkpoints"),
        *("journal.jsonl", "report.html"),
    }
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == [
        *("LATEST", "step-000002", "step-000003"),
    ]
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert summary == json.loads((folder / "summary.json").read_text())
    assert (summary["steps"], summary["documents"], summary["tasks"]) == (STEPS, STEPS, 6)
    assert summary["model"].endswith("/model")
    assert 0 < summary["seconds"] < 300
    assert summary["tokens_trained"] == sum(row["tokens_trained"] for row in rows)
    # Conditions, guesses and spans are sampled as well.
    assert summary["tokens_sampled"] > sum(row["tokens_sampled"] for row in rows)
    for when in ("before", "after"):
        assert summary[when]["domains"].keys() == {"warm", "cold"}
        for measured in (summary[when], *summary[when]["domains"].values()):
            assert measured.keys() >= {"n", "accuracy", "self_correction", "reviewer_j"}
            assert measured["self_correction"].keys() >= {"rate", "harm", "net"}
    assert summary["change"]["accuracy"]["total"]["n"] == summary["before"]["n"] == 4
    assert summary["conditions"]["separates"] is False
    for words in ("conditions do not separate", "attempt, wrong", "training", "3/3"):
        assert words in shown


def test_episodes_lead_back_to_their_documents(straight: Straight, world: Path) -> None:
    folder, summary, _ = straight
    lines = (world / "corpus.jsonl").read_text().splitlines()
    rows = [
        row
        for step in range(STEPS)
        for row in pq.read_table(folder / "episodes" / f"step-{step:06d}.parquet").to_pylist()
    ]
    solves = [row for row in rows if row["role"] == "solve"]
    assert len(solves) == STEPS * M * N
    for row in rows:
        source, number = row["source"].rsplit(":", 1)
        document = json.loads(lines[int(number) - 1])
        assert source == str(world / "corpus.jsonl")
        shown = row["passage"].replace("\\mask{}", row["span"])
        assert document["text"].startswith(shown)  # what leads to the span
        assert shown.endswith(row["span"])
        assert row["document"] == document["text"]
        assert row["domain"] == document["domain"]
        assert row["policy_version"] == row["step"]
        boxed = re.fullmatch(r"\\boxed\{(\d)\}", row["completion"])
        assert row["correct"] == bool(boxed and boxed[1] == row["span"])
        assert (row["weight"] > 0) == (row["dropped"] == "")
    for group in {(row["step"], row["task_id"]) for row in solves}:
        mine = [row for row in solves if (row["step"], row["task_id"]) == group]
        assert [row["attempt_index"] for row in mine] == list(range(N))
        rate = sum(row["correct"] for row in mine) / N
        assert {row["pass_rate"] for row in mine} == {rate}
    assert {row["origin"] for row in rows} == {"poser", "random"}
    assert {row["pose_text"] for row in rows if row["origin"] == "poser"} == {"7"}
    share = len({row["task_id"] for row in rows if row["origin"] == "poser"}) / 6
    assert summary["proposed_share"] == share


def test_every_gradient_leads_back_to_a_document_and_an_attempt(straight: Straight) -> None:
    folder, *_ = straight
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    played: dict[str, int] = {}
    for step, metrics in enumerate(lines):
        name = f"step-{step:06d}.parquet"
        episodes = pq.read_table(folder / "episodes" / name).to_pylist()
        records = pq.read_table(folder / "records" / name).to_pylist()
        written = {
            (row["task_id"], row["attempt_index"]): row["completion"]
            for row in episodes
            if row["role"] == "solve"
        }
        played |= {row["document_id"]: step for row in episodes}
        again: dict[str, int] = {}
        for record in records:
            assert record["completion_tokens"] > 0
            if record["rehearsed"]:
                assert played[record["document_id"]] < step
                again[record["document_id"]] = again.get(record["document_id"], 0) + 1
            elif record["role"] == "solve":
                text = written[record["task_id"], record["attempt_index"]]
                revised = [r["completion"] for r in episodes if r["role"] == "revise"]
                assert record["completion"].removesuffix("<|end|>") in (text, *revised)
        assert again == metrics["rehearsed"]
        assert {r["document_id"] for r in records if not r["rehearsed"]} <= set(played)


def test_stored_completions_recount_the_accuracy(straight: Straight) -> None:
    folder, summary, _ = straight
    for when in ("before", "after"):
        stored = json.loads((folder / f"{when}.json").read_text())
        right = [row["completion"] == "\\boxed{7}" for row in stored["rows"]]
        assert sum(right) / len(right) == summary[when]["accuracy"]


def test_the_same_seed_is_the_same_run(straight: Straight, settings: dict[str, Any]) -> None:
    play(settings)
    assert result_of(settings["out"]) == result_of(straight[0])


def test_looking_at_held_out_problems_changes_nothing(
    straight: Straight, settings: dict[str, Any]
) -> None:
    settings["evaluate"] |= {"every": 2}
    play(settings)
    lines = Path(settings["out"], "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert ["held_out" in row for row in rows] == [False, True, False]
    assert rows[1].pop("held_out") in (0.0, 0.5, 1.0)
    plain = (straight[0] / "metrics.jsonl").read_text().splitlines()
    assert rows == [json.loads(line) for line in plain]
    _, *looked = result_of(settings["out"])
    _, *unlooked = result_of(straight[0])
    assert looked == unlooked


def test_another_seed_is_another_run(straight: Straight, settings: dict[str, Any]) -> None:
    play({**settings, "seed": 1})
    metrics = Path(settings["out"], "metrics.jsonl").read_bytes()
    assert metrics != (straight[0] / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("at", "version", "saved"),
    [
        ("solve", 0, None),  # while measuring before: it stops there, with nothing to save
        ("solve", 3, 3),  # while measuring after: the last step is saved
        ("update", 0, 1),  # in the first step, which is then finished
        ("review", 1, 1),  # in the middle of step 1
        ("update", 2, 3),  # in the last step, which is then finished
    ],
)
def test_ctrl_c_then_resume_is_the_uninterrupted_run(
    straight: Straight,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    at: str,
    version: int,
    saved: int | None,
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        strike(patch, at, version, press_ctrl_c)
        if (at, version) != ("update", 2):
            with pytest.raises(KeyboardInterrupt):
                play(settings)
        else:
            play(settings)
    assert signal.getsignal(signal.SIGINT) is before
    latest = Path(settings["out"], "checkpoints", "LATEST")
    if saved is None:
        assert not latest.exists()
    else:
        assert latest.read_text() == f"step-{saved:06d}\n"
    _, shown = play(settings, resume=True)
    assert (f"resuming after step {saved}" in shown) == (saved is not None)
    assert result_of(settings["out"]) == result_of(straight[0])


def test_a_second_ctrl_c_stops_at_once_and_loses_nothing(
    straight: Straight, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        strike(patch, "review", 1, lambda: (press_ctrl_c(), press_ctrl_c())[0])
        with pytest.raises(KeyboardInterrupt) as stopped:
            play(settings)
    # Where it was pressed, not at the next safe point.
    assert "asked" in [frame.name for frame in stopped.traceback]
    assert Path(settings["out"], "checkpoints", "LATEST").read_text() == "step-000001\n"
    play(settings, resume=True)
    assert result_of(settings["out"]) == result_of(straight[0])


def test_a_torn_checkpoint_is_passed_over(straight: Straight, settings: dict[str, Any]) -> None:
    play(settings)
    weights = Path(settings["out"], "checkpoints", "step-000003", "model", "model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    _, shown = play(settings, resume=True)
    assert "step-000003" in shown
    assert "resuming after step 2" in shown
    assert result_of(settings["out"]) == result_of(straight[0])


def test_resuming_a_finished_run_changes_nothing(
    straight: Straight, settings: dict[str, Any]
) -> None:
    play(settings)
    play(settings, resume=True)
    assert result_of(settings["out"]) == result_of(straight[0])


KILLED = """
import json, os, signal, sys
import alive.loop
from alive.cli import run
from alive.engines.local import LocalPolicy
from alive.engines.weights import save_folder
sys.path.insert(0, sys.argv[1])
from test_end_to_end import command, play, press_ctrl_c, strike
from alive.cli import run
import pytest

def child(settings, at, version, number):
    act = press_ctrl_c if number == signal.SIGINT else lambda: os.kill(os.getpid(), number)
    strike(pytest.MonkeyPatch(), at, version, act)
    if number == signal.SIGINT:
        sys.exit(run(command(settings)))
    play(settings)
    os._exit(0)

for settings, *how in json.loads(sys.argv[2]):
    pid = os.fork()
    if not pid:
        child(settings, *how)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def command(settings: dict[str, Any]) -> list[str]:
    """The settings as a command line."""
    # A settings file, if an empty one, takes the quickstart's place.
    empty = Path(f"{settings['out']}.toml")
    empty.write_text("")
    given = ["train", "--out", settings["out"], "--config", str(empty)]
    for key, value in settings.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for name, leaf in inner:
            full = f"{key}.{name}" if name else key
            given += ["--set", f"{full}={json.dumps(leaf)}"]
    return given


def test_killed_processes_resume_to_the_uninterrupted_run(
    straight: Straight, settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [
        ("solve", 2, signal.SIGKILL, "step-000002"),  # mid step 2, after a checkpoint
        ("pose", 0, signal.SIGKILL, None),  # mid step 0, before the first
        ("solve", 1, signal.SIGINT, "step-000001"),  # Ctrl-C on the command line
    ]
    folders = [tmp_path / f"run{i}" for i in range(len(cases))]
    plans = [
        ({**settings, "out": str(folder)}, at, version, int(number))
        for folder, (at, version, number, _) in zip(folders, cases, strict=True)
    ]
    here = Path(__file__).parent
    env = {**os.environ, "PYTHONPATH": str(here.parent / "src")}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(here), json.dumps(plans)],
        capture_output=True,
        text=True,
        env=env,
        timeout=300,
    )
    codes = [line for line in done.stdout.splitlines() if line in ("-9", "130")]
    assert codes == ["-9", "-9", "130"], done.stderr
    assert f"alive train --resume --out {folders[2]}" in done.stderr
    assert "Traceback" not in done.stderr
    for folder, (*_, saved) in zip(folders, cases, strict=True):
        latest = folder / "checkpoints" / "LATEST"
        assert (latest.read_text().strip() if latest.exists() else None) == saved
        play({**settings, "out": str(folder)}, resume=True)
        assert result_of(folder) == result_of(straight[0])


def test_another_runs_folder_is_refused(straight: Straight, settings: dict[str, Any]) -> None:
    folder = str(straight[0])
    before = result_of(folder)
    settings["out"] = folder
    with pytest.raises(RunError, match="holds another run"):
        play(settings)
    settings["learn"] = {"learning_rate": 1e-3}
    with pytest.raises(RunError, match=r"learn\.learning_rate: 0\.005 -> 0\.001"):
        play(settings, resume=True)
    assert result_of(folder) == before


def test_another_model_under_the_same_name_is_refused(
    world: Path, settings: dict[str, Any], tmp_path: Path
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(world / "model", copy)
    settings["model"]["id"] = str(copy)
    play({**settings, "steps": 1})
    weights = load_file(copy / "model.safetensors")
    weights["model.norm.weight"][0] += 1
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(RunError, match="started from another model"):
        play({**settings, "steps": 1}, resume=True)


def test_a_run_can_be_prolonged(straight: Straight, settings: dict[str, Any]) -> None:
    """The rate of the first step does not depend on how many follow; that of later ones does."""
    play({**settings, "steps": 1})
    play(settings, resume=True)
    assert result_of(settings["out"]) == result_of(straight[0])


def test_a_budget_of_tokens_ends_a_run(
    straight: Straight, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = straight[1]["tokens_sampled"] + straight[1]["tokens_trained"]
    settings |= {"steps": 10**9, "budget_tokens": whole + 1}
    summary, _ = play(settings)
    assert STEPS < summary["steps"] < 2 * STEPS
    assert summary["tokens_sampled"] + summary["tokens_trained"] >= whole + 1
    other = stopped_and_resumed(settings, tmp_path / "other", monkeypatch)
    metrics = [Path(one, "metrics.jsonl").read_bytes() for one in (settings["out"], other)]
    assert metrics[0] == metrics[1]


@pytest.mark.parametrize("arm", ["rft", "grpo"])
def test_arms_without_words_play_and_learn(settings: dict[str, Any], arm: str) -> None:
    settings |= {"arm": arm}
    settings["game"] |= {"conditioned": False}
    summary, shown = play(settings)
    assert "conditions" not in shown
    assert summary["conditions"] == {}
    rows = [
        row
        for shard in sorted(Path(settings["out"], "episodes").iterdir())
        for row in pq.read_table(shard).to_pylist()
    ]
    assert {row["role"] for row in rows} == {"solve"}
    assert {row["critique"] for row in rows} == {None}
    assert {row["feedback"] for row in rows} == {None}
    assert any(row["weight"] > 0 for row in rows)
    assert any(row["weight"] < 0 for row in rows) == (arm == "grpo")
    assert summary["tokens_trained"] > 0


def test_wrong_attempts_are_tried_again_with_a_hint(tmp_path: Path, chat_tokenizer) -> None:
    """STaR by the whole loop; random weights get nothing right, so that every group tries again."""
    model, corpus, out = tmp_path / "model", tmp_path / "corpus.jsonl", tmp_path / "run"
    save_folder(llama(len(chat_tokenizer)), chat_tokenizer, model)
    write_corpus(corpus)
    settings = ["--model", str(model), "--corpus", str(corpus), "--set", "arm=star", "--steps", "1"]
    for assignment in (
        "model.threads=1",
        "model.dtype=float32",
        "sampling.solve_tokens=6",
        "game.conditioned=false",
        "game.masks_per_document=1",
        "game.solutions_per_mask=4",
        "game.revisions_per_mask=2",
        "evaluate.suites=[]",
        "warmup.steps=0",
    ):
        settings += ["--set", assignment]
    assert run(["train", *settings, "--out", str(out)]) == 0
    rows = pq.read_table(out / "episodes").to_pylist()
    assert [row["role"] for row in rows] == ["solve"] * 4 + ["revise"] * 2
    assert {row["critique"] for row in rows} == {None}
    for row in rows[4:]:
        assert f"The answer is {row['span']}." in row["prompt"]
        assert row["weight"] == float(row["correct"])


def test_what_the_text_says_is_learned(settings: dict[str, Any]) -> None:
    """No label anywhere: from the documents alone the policy comes to say 7 where it said 3."""
    settings |= {"steps": 12, "warmup": {"steps": 12}}
    settings["game"] |= {
        "documents_per_step": 4,
        "masks_per_document": 1,
        "solutions_per_mask": 8,
        "random_share": 0.0,
    }
    summary, _ = play(settings)
    assert summary["before"]["accuracy"] == 0.0
    assert summary["after"]["accuracy"] == 1.0
    rates = []
    for shard in sorted(Path(settings["out"], "episodes").iterdir()):
        rows = [row for row in pq.read_table(shard).to_pylist() if row["role"] == "solve"]
        right = [row["correct"] for row in rows if row["span"] == "7"]
        rates += [sum(right) / len(right)] if right else []
    assert rates[0] < max(rates)


def test_a_teachers_words_are_rehearsed_in_warm_up_alone(settings: dict[str, Any]) -> None:
    settings |= {"steps": 10, "warmup": {"steps": 9}}
    settings["game"] |= {"documents_per_step": 4, "masks_per_document": 1, "solutions_per_mask": 8}
    play(settings)
    lines = Path(settings["out"], "metrics.jsonl").read_text("utf-8").splitlines()
    rehearsed = [json.loads(line)["rehearsed"] for line in lines]
    shards = sorted(Path(settings["out"], "episodes").iterdir())
    read = {row["document_id"] for shard in shards for row in pq.read_table(shard).to_pylist()}
    assert rehearsed[0] == rehearsed[9] == {}
    assert any(rehearsed[1:9])
    assert {document for step in rehearsed for document in step} <= read


def test_lora_runs_resume_too(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings["model"] |= {"lora_rank": 2, "lora_alpha": 4.0}
    play(settings)
    other = stopped_and_resumed(settings, tmp_path / "other", monkeypatch)
    assert result_of(other) == result_of(settings["out"])
