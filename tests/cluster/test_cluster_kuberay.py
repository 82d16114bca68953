"""The example for Kubernetes: fields that exist, sizes that fit, a command that is understood."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from alive.cli import group
from alive.settings import build_config

EXAMPLE = Path(__file__).resolve().parents[2] / "docs/kuberay.yaml"

JOB = {"entrypoint", "backoffLimit", "shutdownAfterJobFinishes", "runtimeEnvYAML", "rayClusterSpec"}
CLUSTER = {"rayVersion", "headGroupSpec", "workerGroupSpecs"}
WORKERS = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
"""Fields of ray.io/v1 that the example uses, by KubeRay's type definitions."""


@pytest.fixture
def job() -> dict[str, Any]:
    [found] = yaml.safe_load_all(EXAMPLE.read_text())
    return dict(found)


def options(job: dict[str, Any]) -> dict[str, Any]:
    words = shlex.split(job["spec"]["entrypoint"])
    assert words[:2] == ["alive", "train"]
    command = group.commands["train"]
    with command.make_context("train", words[2:]) as context:
        assert isinstance(context, click.Context)
        return dict(context.params)


def test_its_fields_are_those_of_a_ray_job(job: dict[str, Any]) -> None:
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec, cluster = job["spec"], job["spec"]["rayClusterSpec"]
    assert spec.keys() == JOB
    assert cluster.keys() == CLUSTER
    assert cluster["headGroupSpec"].keys() == {"rayStartParams", "template"}
    [workers] = cluster["workerGroupSpecs"]
    assert workers.keys() == WORKERS
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    assert isinstance(yaml.safe_load(spec["runtimeEnvYAML"])["env_vars"], dict)
    for one in (cluster["headGroupSpec"], workers):
        # Ray's own parameters are strings there, whatever they stand for.
        assert all(isinstance(value, str) for value in one["rayStartParams"].values())
        pod = one["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_the_run_folder_is_on_a_volume_that_every_pod_has(job: dict[str, Any]) -> None:
    cluster = job["spec"]["rayClusterSpec"]
    out = options(job)["out"]
    for one in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = one["template"]["spec"]
        shared = {v["name"] for v in pod["volumes"] if "persistentVolumeClaim" in v}
        for container in pod["containers"]:
            mounts = [m["mountPath"] for m in container["volumeMounts"] if m["name"] in shared]
            assert any(out.is_relative_to(mount) for mount in mounts)


def test_ranks_and_samplers_fit_on_its_gpus(job: dict[str, Any]) -> None:
    asked = options(job)
    assert asked["ray"]
    gpus = sum(
        group["replicas"] * int(container["resources"]["limits"]["nvidia.com/gpu"])
        for group in job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
        for container in group["template"]["spec"]["containers"]
    )
    assert asked["ranks"] + asked["samplers"] == gpus
    build_config([("test", {"model": {"id": asked["model"]}})])


def test_a_lost_head_is_answered_by_a_new_cluster(job: dict[str, Any]) -> None:
    assert job["spec"]["backoffLimit"] > 0
    # The same folder for both, on the disk that all nodes mount.
    mounts = {
        mount["mountPath"]
        for group in (
            job["spec"]["rayClusterSpec"]["headGroupSpec"],
            *job["spec"]["rayClusterSpec"]["workerGroupSpecs"],
        )
        for container in group["template"]["spec"]["containers"]
        for mount in container["volumeMounts"]
    }
    assert any(options(job)["out"].is_relative_to(mount) for mount in mounts)
