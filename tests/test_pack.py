"""What is packed comes out again byte by byte, or not at all."""

from __future__ import annotations

import random
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "pack.py"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = spec_from_file_location("pack", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def packed(script: Any, tmp_path: Path) -> tuple[Path, bytes]:
    """A folder of pieces of 50,000 bytes, and the weights in it."""
    checkout, model, wheels = (tmp_path / name for name in ("repository", "weights", "found"))
    for folder in (checkout / "src", model, wheels):
        folder.mkdir(parents=True)
    (checkout / "src" / "one.py").write_text("one = 1\n")
    (checkout / "ignored.log").write_text("not tracked")
    subprocess.run(["git", "init", "-q", str(checkout)], check=True)
    subprocess.run(["git", "-C", str(checkout), "add", "src"], check=True)
    weights = random.Random(0).randbytes(123_456)
    (model / "model.safetensors").write_bytes(weights)
    (wheels / "some-1.0-py3-none-any.whl").write_bytes(b"a wheel")
    assert script.pack(tmp_path / "out", checkout, model, wheels, 50_000) == 3
    return tmp_path / "out", weights


def unpacked(out: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """By the script that was packed, with nothing but the standard library."""
    command = [sys.executable, "-I", "-S", str(out / "pack.py"), "unpack", str(out), str(target)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_round_trip(packed: tuple[Path, bytes], tmp_path: Path) -> None:
    out, weights = packed
    assert [path.stat().st_size for path in sorted(out.glob("piece-*"))][:2] == [50_000] * 2
    done = unpacked(out, tmp_path / "there")
    assert done.returncode == 0, done.stderr
    assert f"benchmarks/gpu.py {tmp_path}/there/model" in done.stdout
    files = {
        str(path.relative_to(tmp_path / "there")): path.read_bytes()
        for path in (tmp_path / "there").rglob("*")
        if path.is_file()
    }
    assert files == {
        "checkout/src/one.py": b"one = 1\n",
        "model/model.safetensors": weights,
        "wheels/some-1.0-py3-none-any.whl": b"a wheel",
    }


@pytest.mark.parametrize("damage", ["missing", "torn", "changed"])
def test_a_damaged_piece_is_named(packed: tuple[Path, bytes], tmp_path: Path, damage: str) -> None:
    out, _ = packed
    piece = out / "piece-0001.bin"
    data = piece.read_bytes()
    if damage == "missing":
        piece.unlink()
    else:
        piece.write_bytes(data[:-1] if damage == "torn" else b"x" + data[1:])
    done = unpacked(out, tmp_path / "there")
    assert done.returncode == 1
    assert str(piece) in done.stderr
    assert "copy it again" in done.stderr
    assert "Traceback" not in done.stderr


def test_packing_again_leaves_no_older_piece(script: Any, packed: tuple[Path, bytes]) -> None:
    out, _ = packed
    empty = out.parent / "empty"
    empty.mkdir()
    assert script.pack(out, out.parent / "repository", None, empty, 50_000) == 1
    assert [path.name for path in out.glob("piece-*")] == ["piece-0000.bin"]


def test_what_is_needed_is_what_is_installed_without_torch(script: Any) -> None:
    from importlib.metadata import version

    found = script.needed("alive-rl", ["lora"])
    assert found["transformers"] == version("transformers")
    assert found["peft"] == version("peft")
    assert found["safetensors"] == version("safetensors")
    assert not {"torch", "triton", "trl", "pytest"} & set(found)
    assert not [name for name in found if name.startswith("nvidia")]


def test_a_package_that_is_not_here_is_named(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script.metadata, "requires", lambda _: ["nobody-has-this >= 1"])
    with pytest.raises(SystemExit, match="nobody-has-this is needed and not installed here"):
        script.needed("alive-rl", [])
