"""What the simulation is told of a step is what a run asks its servers for."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))


@pytest.mark.slow
def test_a_step_asks_for_as_many_completions_as_the_simulation_is_told(tmp_path: Path) -> None:
    from paced import PacedServer
    from scale_measured import COSTS, stages
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from alive.engines.names import resolve

    folder = resolve("seed")
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    at_once = replace(COSTS, token=0.0, row=0.0, weights=0.0)
    with PacedServer(AutoTokenizer.from_pretrained(folder), model, at_once) as server:
        [step] = stages([server.url], tmp_path / "run", "replicas", 3, 1)
        asked = [b for b in server.asked("/v1/completions") if "prompt_logprobs" not in b]
    assert set(step) >= {"play", "learn"}
    attempts, reviews, revisions = (3 * some for some in COSTS.requests)
    limits = Counter((body["max_tokens"], body["n"]) for body in asked)
    assert limits == {
        (128, COSTS.guesses): 1,
        (COSTS.limit[0], COSTS.rows[0] // COSTS.requests[0]): attempts,
        (COSTS.limit[1], 1): reviews,
        (COSTS.limit[2], 1): revisions,
    }
