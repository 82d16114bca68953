"""Settings for a first run: chosen for what was found, explained, and fit to be trained with."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from alive import plan as planning
from alive import sizing
from alive.cli import run
from alive.config import Config
from alive.corpus.survey import Survey, survey
from alive.engines import probe
from alive.engines import shape as shapes
from alive.engines.context import check_context
from alive.engines.shape import KNOWN, ModelShape
from alive.errors import CorpusError, UserError
from alive.plan import make_plan
from alive.settings import known_keys, load_config, toml
from alive.setup import sizes, starter
from alive.setup.config_file import Choice, config_file
from alive.throughput import Throughput


@pytest.fixture(scope="session")
def world(toy_world: Path) -> Path:
    return toy_world


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of known speed, with memory to spare."""
    monkeypatch.setattr(sizing, "available_memory", lambda: 10**12)
    monkeypatch.setattr(planning, "measure_throughput", lambda config: Throughput(100.0, 200.0))


def words(text: str) -> int:
    return len(text.split())


def write(path: Path, *rows: str) -> str:
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    return str(path)


def test_a_survey_by_hand(tmp_path: Path) -> None:
    seen = survey([write(tmp_path / "a.jsonl", "a", "b c d", "e f", "g h i j k")], words)
    assert seen == Survey(files=1, lengths=(1, 2, 3, 5), sources=4, cut=True, whole=True)
    assert [seen.quantile(share) for share in (0.0, 0.5, 0.9, 1.0)] == [1, 3, 5, 5]
    # In chunks of two tokens: 1, 1, 2 and 3 documents.
    assert seen.epoch(2) == 7
    assert seen.epoch(100) == 4


def test_a_survey_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alive.corpus import survey as module

    monkeypatch.setattr(module, "CHARACTERS", 1_000)
    monkeypatch.setattr(module, "HEAD", 100)
    monkeypatch.setattr(module, "FILES", 2)
    many = [write(tmp_path / f"{i}.jsonl", *["word " * 20] * 100) for i in range(4)]
    seen = survey(many, words)
    # Two of four files, 500 characters each: five rows of 100, of a hundred rows of 113 bytes.
    assert (seen.files, len(seen.lengths), seen.whole) == (4, 10, False)
    assert 400 <= seen.sources <= 460
    # A long text counts as its beginning, many times over.
    (tmp_path / "long.txt").write_text("word " * 2_000)
    assert survey([str(tmp_path / "long.txt")], words).lengths == (2_020,)


def test_a_survey_counts_rows_of_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from alive.corpus import survey as module

    monkeypatch.setattr(module, "CHARACTERS", 100)
    pq.write_table(pa.table({"text": ["one two three"] * 400}), tmp_path / "a.parquet")
    seen = survey([str(tmp_path / "a.parquet")], words)
    assert (seen.sources, seen.whole, set(seen.lengths)) == (400, False, {3})


def test_a_survey_skips_what_a_run_skips(tmp_path: Path) -> None:
    (tmp_path / "binary.txt").write_bytes(b"a b\0c")
    (tmp_path / "latin.txt").write_bytes("Gr\xfc\xdfe".encode("latin-1"))
    with pytest.raises(CorpusError, match="no text in"):
        survey([str(tmp_path)], words)
    (tmp_path / "good.md").write_text("one two")
    assert survey([str(tmp_path)], words).lengths == (2,)


def test_a_primer_stays_whole() -> None:
    seen = survey(["builtin:primer-logic"], words)
    assert seen.whole
    assert not seen.cut
    assert seen.epoch(1) == seen.sources == len(seen.lengths)


NASTY = ['a "b"\\', "new\nline", "\x7f\x00", "é 漢", "'''", "# no"]


@pytest.mark.parametrize("text", NASTY)
def test_any_text_survives_toml(text: str) -> None:
    file = config_file(text, {"corpus.paths": Choice([text, "b"], text)})
    assert tomllib.loads(file)["corpus"]["paths"] == [text, "b"]
    assert tomllib.loads(f"x = {toml(text)}")["x"] == text


def test_a_file_lists_every_setting_once_with_its_description() -> None:
    lines = config_file("head", {"steps": Choice(7, "a reason")}).splitlines()
    assert lines[0] == "# head"
    at = lines.index("steps = 7")
    assert lines[at - 2 : at] == [f"# {known_keys()['steps']}", "# Chosen: a reason"]
    assert "# seed = 0" in lines
    # Without the marks the rest says the defaults.
    plain = "\n".join(
        line.removeprefix("# ")
        for line in lines
        if line.startswith(("[", "steps")) or line.split(" = ")[0][2:] in names()
    )
    assert load_from(plain) == Config(steps=7)


def names() -> set[str]:
    return {key.rpartition(".")[2] for key in known_keys()}


def load_from(text: str) -> Config:
    return Config.model_validate(tomllib.loads(text))


@pytest.mark.parametrize("model", ["seed", "toy", "smollm2"])
def test_the_file_is_the_plan(
    model: str, world: Path, tmp_path: Path, timed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if model == "smollm2":
        from alive.engines import smollm2

        if not (smollm2._converted() / "config.json").is_file():
            pytest.skip("the weights of smollm2 are not unpacked here")
    monkeypatch.chdir(tmp_path)
    corpus = [] if model == "seed" else ["--corpus", str(world / "corpus.jsonl")]
    name = str(world / "model") if model == "toy" else model
    assert run(["init", "--model", name, *corpus]) == 0
    config = load_config(None, [Path("alive.toml")])
    assert config.model.id == name
    assert make_plan(config).fits
    paths = config.corpus.paths
    assert paths == (("builtin:primer",) if model == "seed" else (str(world / "corpus.jsonl"),))
    if model == "seed":
        quickstart = load_config("quickstart")
        assert config.game == quickstart.game
        assert (config.learn, config.warmup) == (quickstart.learn, quickstart.warmup)
        assert (config.steps, config.evaluate) == (quickstart.steps, quickstart.evaluate)
    else:
        check_context(config)
        sampling = config.sampling
        # The toy's context is short.
        assert (sampling.solve_tokens, sampling.review_tokens) == (512, 256) or model == "toy"
        assert sampling.solve_tokens > load_config("quickstart").sampling.solve_tokens


def test_the_seed_keeps_its_sizes_on_other_text(
    tmp_path: Path, timed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = write(tmp_path / "a.jsonl", *["one two three four five six seven eight"] * 50)
    monkeypatch.chdir(tmp_path)
    assert run(["init", "--corpus", text]) == 0
    config = load_config(None, [Path("alive.toml")])
    quickstart = load_config("quickstart")
    assert (config.sampling, config.game) == (quickstart.sampling, quickstart.game)


def test_the_toy_trains_on_its_file(world: Path, tmp_path: Path, timed: None) -> None:
    file = tmp_path / "mine.toml"
    given = ["init", str(file), "--model", str(world / "model")]
    assert run([*given, "--corpus", str(world / "corpus.jsonl")]) == 0
    out = tmp_path / "run"
    few = ["--set", "evaluate.limit=2", "--set", "evaluate.condition_tasks=2"]
    assert run(["train", "--config", str(file), "--steps", "1", "--out", str(out), *few]) == 0
    assert json.loads((out / "summary.json").read_text())["steps"] == 1


def test_what_is_there_is_kept(
    world: Path, tmp_path: Path, timed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("mine")
    assert run(["init", str(file)]) == 2
    assert "overwrite it with --force" in capsys.readouterr().err
    assert file.read_text() == "mine"
    assert run(["init", str(file), "--force"]) == 0
    shown = capsys.readouterr().out
    assert f"next: alive train --config {file}" in shown
    assert "documents of an epoch" in shown
    assert load_config(None, [file]).model.id == "seed"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["notes.txt"], "name text with --corpus PATH"),
        (["a.toml", "b.toml"], "one settings file at a time"),
        (["none/a.toml"], "there is no folder none"),
        (["--corpus", "none.txt"], "no such file or folder: none.txt"),
        (["--model", "./none"], "no model folder './none'"),
    ],
)
def test_mistakes_write_nothing(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_more_paths_after_corpus_are_text_too() -> None:
    from alive.cli.init import _told_apart

    assert _told_apart(("b.txt", "x.toml"), ("a.txt",)) == (Path("x.toml"), ("a.txt", "b.txt"))
    assert _told_apart((), ()) == (Path("alive.toml"), ("builtin:primer",))


SMALL = KNOWN["smollm2"]
LARGE = KNOWN["Qwen/Qwen2.5-7B"]


def fitted(
    monkeypatch: pytest.MonkeyPatch, shape: ModelShape, memory: float, on_gpu: bool
) -> tuple[object, ...]:
    monkeypatch.setattr(sizing, "available_memory", lambda: int(memory))
    monkeypatch.setattr(shapes, "free_gpu_memory", lambda: int(memory) if on_gpu else None)
    faster = "bfloat16" if on_gpu else "float32"
    monkeypatch.setattr(probe, "choose_compute", lambda *given: faster)
    way = starter._fitting({"keep_checkpoints": Choice(1, "")}, shape, on_gpu)
    names = ("model.dtype", "model.lora_rank", "learn.micro_batch_tokens")
    return tuple(way[name].value for name in names)


def test_memory_is_saved_the_mildest_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning.shutil, "disk_usage", lambda path: Disk(10**13))
    assert fitted(monkeypatch, SMALL, 1e12, True) == ("auto", 0, 32_768)
    # A CPU has little time for all weights of a model this large, whatever its memory.
    assert fitted(monkeypatch, SMALL, 1e12, False) == ("auto", 16, 1024)
    monkeypatch.setattr(starter.importlib.util, "find_spec", lambda name: None)
    assert fitted(monkeypatch, SMALL, 1e12, False) == ("auto", 0, 1024)
    # 135 million float32 weights with gradients and moments take 2.2 GB, with adapters 0.6.
    assert fitted(monkeypatch, SMALL, 2.5e9, False) == ("auto", 16, 1024)
    # 7.6 billion take 122 GB, and 15 for the copy that the sampler reads.
    assert fitted(monkeypatch, LARGE, 180e9, True) == ("auto", 0, 32_768)
    assert fitted(monkeypatch, LARGE, 78e9, True) == ("auto", 16, 32_768)
    with pytest.raises(UserError, match=r"whatever is set.*take a smaller model"):
        fitted(monkeypatch, LARGE, 10e9, True)


class Disk:
    def __init__(self, free: int) -> None:
        self.free = free


def test_the_disk_may_hold_fewer_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "available_memory", lambda: 10**12)
    monkeypatch.setattr(starter.importlib.util, "find_spec", lambda name: None)
    # 135 M weights and two moments each, in 4 bytes: 1.61 GB; three fit no more, two do.
    monkeypatch.setattr(planning.shutil, "disk_usage", lambda path: Disk(4 * 10**9))
    way = starter._fitting({}, SMALL, False)
    assert way["keep_checkpoints"].value == 1


@pytest.mark.parametrize(
    ("measured", "epoch", "steps", "why"),
    [
        (None, 500, 80, "the default"),
        (None, 30, 30, "each document about once"),
        (Throughput(1e9, 1e9), 500, 80, "the default"),
        (Throughput(10.0, 1e9), 500, 28, "about an hour, at 128 s a step"),
        (Throughput(0.1, 0.1), 500, 4, "a few"),
    ],
)
def test_length_follows_time_and_text(
    timed: None, measured: Throughput | None, epoch: int, steps: int, why: str
) -> None:
    from dataclasses import replace

    config = Config()
    plan = replace(make_plan(config, SMALL), throughput=measured, sampled=1280, trained=0)
    seen = Survey(1, (10,), epoch, True, True)
    chosen = starter._length(plan, seen)
    assert chosen["steps"].value == steps
    assert chosen["steps"].why.startswith(why)


@pytest.mark.parametrize(
    ("longest", "on_gpu", "chunk"),
    [(50, False, 64), (200, False, 256), (5000, False, 256), (5000, True, 1024), (300, True, 512)],
)
def test_documents_are_as_long_as_texts_and_machine(longest: int, on_gpu: bool, chunk: int) -> None:
    seen = Survey(1, (30, longest), 2, True, True)
    found = sizes.documents(seen, on_gpu)
    assert found["corpus.chunk_tokens"].value == chunk


@pytest.mark.parametrize(
    ("longest", "on_gpu", "wanted"),
    [(50, False, (512, 256)), (512, True, (512, 256)), (5000, False, (512, 256)),
     (513, True, (1024, 512)), (5000, True, (1024, 512))],
)  # fmt: skip
def test_attempts_have_room_for_a_document(
    longest: int, on_gpu: bool, wanted: tuple[int, int]
) -> None:
    seen = Survey(1, (30, longest), 2, True, True)
    chunk = sizes.documents(seen, on_gpu)["corpus.chunk_tokens"].value
    found = sizes.completions(chunk, seen, on_gpu)
    names = ("sampling.solve_tokens", "sampling.review_tokens")
    assert tuple(found[name].value for name in names) == wanted


CONTEXT_NAMES = ("corpus.chunk_tokens", "sampling.solve_tokens", "sampling.review_tokens")


@pytest.mark.parametrize("positions", [None, 4096, 1024, 600])
def test_all_keeps_to_the_models_context(positions: int | None, plain_tokenizer: Any) -> None:
    from alive.engines.context import longest
    from alive.prompts import make_renderer

    renderer = make_renderer(plain_tokenizer)
    chosen = {"corpus.chunk_tokens": Choice(256, "")}
    shorter = sizes.within_context(chosen, renderer, positions)
    need = longest(renderer, sizes.as_config(chosen | shorter))
    if positions in (None, 4096):
        assert shorter == {}
        return
    assert need.tokens <= positions
    chunk, solve, review = (shorter[name].value for name in CONTEXT_NAMES)
    # In proportion, and no more was taken away than rounding to eights and templates cost.
    assert solve == pytest.approx(2 * chunk, abs=16) and review == pytest.approx(chunk, abs=16)
    assert positions - need.tokens < 64
    assert f"context of {positions:,} tokens" in shorter["sampling.solve_tokens"].why


def test_a_context_without_room_is_left_to_the_run_to_refuse(plain_tokenizer: Any) -> None:
    from alive.prompts import make_renderer

    shorter = sizes.within_context({}, make_renderer(plain_tokenizer), 8)
    assert [shorter[name].value for name in CONTEXT_NAMES] == [8, 8, 8]


def test_a_step_that_takes_too_long_plays_less(timed: None) -> None:
    from dataclasses import replace

    def paced(sample: float) -> tuple[int, ...]:
        choices = {"model.id": Choice("smollm2", ""), "model.dtype": Choice("float32", "")}
        plan = make_plan(sizes.as_config(choices), SMALL)
        plan = replace(plan, throughput=Throughput(sample, 1e9))
        game = sizes.as_config(choices | starter._paced(choices, plan)).game
        return (game.masks_per_document, game.solutions_per_mask)

    # 8 x 16 attempts of 512 tokens, as many reviews of 256, 16 revisions, 8 proposals of 16:
    # 106,624 tokens in 1,800 s are 59.2 a second.
    assert paced(59.5) == (8, 16)
    # With 8 attempts each: 64 x 768 + 16 x 512 + 128 = 57,472 tokens, 31.9 a second.
    assert paced(59.0) == (8, 8)
    assert paced(32.0) == (8, 8)
    assert paced(31.5) == (8, 4)
    assert paced(1.0) == (2, 4)


def test_a_model_of_short_context_is_given_what_fits(
    tmp_path: Path, timed: None, plain_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path / "model"
    width = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 700}
    GPT2LMHeadModel(GPT2Config(vocab_size=len(plain_tokenizer), **width)).save_pretrained(folder)
    plain_tokenizer.save_pretrained(folder)
    text = write(tmp_path / "a.jsonl", "one two three " * 100)
    monkeypatch.chdir(tmp_path)
    assert run(["init", "--model", str(folder), "--corpus", text]) == 0
    config = load_config(None, [Path("alive.toml")])
    check_context(config)
    assert config.sampling.solve_tokens < 512
    assert config.evaluate.suites == ()
