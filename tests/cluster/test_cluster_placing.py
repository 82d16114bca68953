"""Where ranks stand, and what they are told of each other; no cluster is needed."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from alive.cli import run
from alive.cluster.learners import environments
from alive.cluster.placing import in_order


def test_ranks_of_one_node_have_neighbouring_numbers() -> None:
    nodes = {0: "b", 1: "a", 2: "b", 3: "a", 4: "a"}
    assert in_order(nodes, range(4)) == [(1, "a"), (3, "a"), (0, "b"), (2, "b")]


def test_ranks_of_two_nodes_meet_at_the_first_ones_address() -> None:
    given = environments(["a", "a", "b"], "10.0.0.1", 1234, gpus=False)
    assert [one["RANK"] for one in given] == ["0", "1", "2"]
    assert [one["LOCAL_RANK"] for one in given] == ["0", "1", "0"]
    assert [one["LOCAL_WORLD_SIZE"] for one in given] == ["2", "2", "1"]
    for one in given:
        assert (one["MASTER_ADDR"], one["MASTER_PORT"], one["WORLD_SIZE"]) == (
            *("10.0.0.1", "1234", "3"),
        )
        assert "GLOO_SOCKET_IFNAME" not in one


def test_ranks_of_one_node_speak_over_the_loopback_interface() -> None:
    given = environments(["a", "a"], "10.0.0.1", 1234, gpus=False)
    assert {one["MASTER_ADDR"] for one in given} == {"127.0.0.1"}
    assert {one["GLOO_SOCKET_IFNAME"] for one in given} == {"lo"}
    # NCCL chooses for itself.
    assert "GLOO_SOCKET_IFNAME" not in environments(["a"], "10.0.0.1", 1, gpus=True)[0]


def test_without_ray_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Any
) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "ray":
            raise ModuleNotFoundError("No module named 'ray'", name="ray")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    monkeypatch.setattr("os.environ", {**__import__("os").environ})
    assert run(["train", "--ray", "--out", str(tmp_path / "run")]) == 2
    assert "pip install 'alive-rl[ray]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_samplers_without_ray_are_refused(capsys: Any) -> None:
    assert run(["train", "--samplers", "2"]) == 2
    assert "--samplers needs --ray" in capsys.readouterr().err


def test_servers_and_samplers_of_the_cluster_exclude_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--ray", "--samplers", "1", "--sampler", "http://127.0.0.1:9"]
    assert run(["train", "--out", str(tmp_path / "run"), *given]) == 2
    assert "servers that sample already" in capsys.readouterr().err
