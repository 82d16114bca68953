"""``alive bench`` as typed."""

from __future__ import annotations

import json

from click.testing import CliRunner

from alive.cli import group


def test_the_table_and_the_file(tmp_path) -> None:
    file = tmp_path / "bench.json"
    done = CliRunner().invoke(
        group, ["bench", "seed", "--lora-rank", "1", "--rows", "1", "--json", str(file)]
    )
    assert done.exit_code == 0, done.output
    assert "sampling, 1 rows" in done.output
    assert "at most" in done.output
    found = json.loads(file.read_text())
    assert [stage["name"] for stage in found["stages"]] == ["sampling, 1 rows", "training"]
    assert found["peak"] == 0
