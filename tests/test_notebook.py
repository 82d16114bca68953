"""The notebook runs from top to bottom, on fewer steps, and is kept without its outputs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from documents import ROOT

import alive

NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"
SMALL = (
    *("steps=1", "model.threads=1", "game.documents_per_step=2", "evaluate.limit=2"),
    *("evaluate.condition_tasks=2", "evaluate.samples=0", "warmup.steps=0"),
)


@pytest.fixture
def notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_kept_without_outputs(notebook: Any) -> None:
    nbformat.validate(notebook)
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(codes) > 5
    assert all(cell.outputs == [] and cell.execution_count is None for cell in codes)


def test_it_runs_from_top_to_bottom(
    notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbclient import NotebookClient

    # The kernel is this interpreter with this code, and leaves nothing in anyone's home.
    code = str(Path(alive.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([code, os.environ.get("PYTHONPATH", "")]))
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    [parameters] = [
        cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())
    ]
    parameters.source += f"\nSETTINGS = {list(SMALL)!r}"
    here = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=here).execute()
    shown = [
        "".join(output.get("text", "") for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    assert "\x1b" not in "".join(shown)  # plain text, whatever the terminal
    assert "before and after" in shown[2]
    assert "hidden: " in shown[3] and "review, with the hidden text in view:" in shown[3]
    assert "Counter(" in shown[4]
    assert "answer: " in shown[5]
    assert shown[6].startswith("seed right: ") and "runs/notebook right: " in shown[6]
    assert (tmp_path / "runs/notebook/summary.json").is_file()
    # Warnings and tracebacks would stand on stderr.
    said = [
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.get("name") == "stderr"
    ]
    assert said == []
