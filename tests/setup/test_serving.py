"""The command that serves a model, and how it is started."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

import pytest

from alive.cli import run
from alive.setup.serving import find_python, serving


@pytest.fixture
def model(tmp_path: Path, toy_world: Path) -> Path:
    return toy_world / "model"


def options_of(arguments: tuple[str, ...]) -> dict[str, str]:
    named = [one for one in arguments if one.startswith("--")]
    return {one: arguments[arguments.index(one) + 1] for one in named}


def test_the_command_suits_the_model_and_stays_on_loopback(model: Path) -> None:
    import json

    served = serving(str(model), 8123)
    options = options_of(served.arguments)
    assert served.arguments[:2] == ("-m", "vllm.entrypoints.openai.api_server")
    assert options["--model"] == str(model.absolute())
    assert (options["--host"], options["--port"]) == ("127.0.0.1", "8123")
    positions = json.loads((model / "config.json").read_text())["max_position_embeddings"]
    assert options["--max-model-len"] == str(positions)
    assert options["--dtype"] == "float32"  # a narrow model
    assert options["--logprobs-mode"] == "raw_logprobs"
    assert options["--generation-config"] == "vllm"
    assert served.environment["VLLM_SERVER_DEV_MODE"] == "1"
    assert "loopback" in served.notes[0]


@pytest.mark.parametrize("gpus", [0, 1, 2])
def test_what_a_server_takes_of_a_machine(model: Path, monkeypatch, gpus: int) -> None:
    from alive.engines import shape
    from alive.engines.local import loading

    monkeypatch.setattr(shape, "gpu_count", lambda: gpus)
    monkeypatch.setattr(loading, "compute_type", lambda model, device: f"of {device}")
    served = serving(str(model), 8000)
    options, environment = options_of(served.arguments), served.environment
    assert options["--dtype"] == ("of cuda" if gpus else "of cpu")
    assert options.get("--gpu-memory-utilization") == ("0.4" if gpus == 1 else None)
    assert environment.get("CUDA_VISIBLE_DEVICES") == ("1" if gpus == 2 else None)
    assert ("VLLM_CPU_KVCACHE_SPACE" in environment) == (not gpus)


def test_the_line_is_one_that_a_shell_takes(model: Path, tmp_path: Path) -> None:
    spaced = tmp_path / "my model; echo"
    spaced.symlink_to(model)
    served = serving(str(spaced), 8000)
    words = shlex.split(served.line("python"))
    count = len(served.environment)
    assert dict(word.split("=", 1) for word in words[:count]) == served.environment
    assert tuple(words[count + 1 :]) == served.arguments


def test_it_is_started_in_the_other_environment(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "started $VLLM_SERVER_DEV_MODE $*"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)

    def replaced(program: str, arguments: list[str], environment: dict[str, str]) -> None:
        os.spawnve(os.P_WAIT, program, arguments, environment)

    monkeypatch.setattr(os, "execvpe", replaced)
    assert run(["serve", str(model), "--port", "8124"]) == 0
    said = capfd.readouterr()
    assert "VLLM_SERVER_DEV_MODE=1" in said.out and "started" not in said.out
    assert "--sampler http://127.0.0.1:8124" in said.err
    assert run(["serve", str(model), "--start", "--python", str(python)]) == 0
    assert "started 1 -m vllm.entrypoints.openai.api_server --model" in capfd.readouterr().out


def test_no_vllm_is_told(model: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["serve", str(model), "--start"]) == 2
    assert "--python OTHER_ENV/bin/python" in capsys.readouterr().err
    assert run(["serve", str(model), "--python", str(tmp_path)]) == 2
    assert "there is no such program" in capsys.readouterr().err
    for name in ("vllm", "python"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert find_python("") == str(tmp_path / "python")


def test_adapters_alone_are_not_served(seed_tokenizer, tmp_path: Path, capsys) -> None:
    import tiny

    (tmp_path / "adapters").mkdir()
    tiny.policy(seed_tokenizer, rank=2).save(tmp_path / "adapters")
    assert run(["serve", str(tmp_path / "adapters")]) == 2
    assert "alive export" in capsys.readouterr().err
