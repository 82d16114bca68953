from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from alive.worlds.primer import build


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch):
    """Courses of three small steps; the number of threads is put back."""
    threads = torch.get_num_threads()
    courses = tuple(replace(course, steps=3) for course in build.COURSES)
    monkeypatch.setattr(build, "COURSES", courses)
    monkeypatch.setattr(build, "BATCH", 8)
    monkeypatch.setattr(build, "TOKENIZER_EXCHANGES", 400)
    yield
    torch.set_num_threads(threads)


def test_two_builds_are_the_same_bytes(short, tmp_path: Path) -> None:
    for name in ("one", "two"):
        build.build(tmp_path / name, Console(file=StringIO()))
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(files)
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_rate_rises_and_falls() -> None:
    course = replace(build.COURSES[0], steps=100, rate=1.0, ramp=10)
    assert course.learning_rate(0) == pytest.approx(0.1)
    assert course.learning_rate(9) == pytest.approx(0.05 + 0.475 * (1 + 0.96029), abs=1e-4)
    assert course.learning_rate(50) == pytest.approx(0.525)
    assert course.learning_rate(99) < 0.06


def test_the_shipped_seed_is_whole_and_small() -> None:
    from alive.engines.names import resolve
    from alive.engines.weights import load_model

    folder = resolve("seed")
    assert sum(path.stat().st_size for path in Path(folder).iterdir()) < 8_000_000
    model, tokenizer = load_model("seed", "float32")
    assert 800_000 < sum(weight.numel() for weight in model.parameters()) < 3_000_000
    # What ships is what the primer's vocabulary gives.
    assert len(tokenizer) == build.VOCABULARY == len(build.train_tokenizer(build._texts(), 640))
