"""Servers that speak as vLLM's do and take as long as they are told; what they write means nothing.

    python benchmarks/paced.py MODEL costs.json --servers 3

Lengths are drawn as `scale_play.Costs` says, of the stage whose limit a request names. A token of
all rows takes `token + row x rows` seconds, `slots` rows are written at a time, and weights are
read in `weights / link` seconds. Attempts end in a wrong answer, and reviews say so: the course of
a game does not depend on the weights, which are those that were sent. Prints the servers' URLs, and
listens until its input ends.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scale_play import Costs, costs_of, drawn
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / name) for name in ("engines", "")]

from fake_server import FakeServer  # noqa: E402

WRONG = "\n\\boxed{QQ}"
ENDINGS = (WRONG, "\nSummary: the answer is made up\nVerdict: wrong\nScore: 2", WRONG)
"""Of attempts, reviews and revisions."""


@dataclass
class Job:
    """A request that is written."""

    left: int
    done: threading.Event = field(default_factory=threading.Event)


class Writer:
    """Writes rows side by side, by the clock."""

    def __init__(self, costs: Costs) -> None:
        """Begins to wait for requests."""
        self._costs = costs
        self._changed = threading.Condition()
        self._waiting: deque[tuple[int, Job]] = deque()
        self._rows: list[list[Any]] = []  # tokens to come, of which request
        threading.Thread(target=self._write, daemon=True).start()

    def write(self, lengths: Sequence[int]) -> None:
        """Returns when as many tokens would have been written."""
        job = Job(len(lengths))
        with self._changed:
            self._waiting.extend((length, job) for length in lengths)
            self._changed.notify()
        job.done.wait()

    def _write(self) -> None:
        due = 0.0
        while True:
            with self._changed:
                if not self._rows and not self._waiting:
                    self._changed.wait_for(lambda: self._waiting)
                    due = time.perf_counter()
                while self._waiting and len(self._rows) < self._costs.slots:
                    self._rows.append(list(self._waiting.popleft()))
            due += self._costs.token + self._costs.row * len(self._rows)
            time.sleep(max(0.0, due - time.perf_counter()))
            for row in self._rows:
                row[0] -= 1
                if not row[0]:
                    row[1].left -= 1
                    if not row[1].left:
                        row[1].done.set()
            self._rows = [row for row in self._rows if row[0]]


class PacedServer(FakeServer):
    """Has a model to be sent weights of, and writes without it."""

    def __init__(self, tokenizer: Any, model: Any, costs: Costs) -> None:
        """Takes over a model."""
        super().__init__(tokenizer, model, room=model.config.max_position_embeddings)
        self._costs, self._writer = costs, Writer(costs)
        self._endings = [tokenizer.encode(text, add_special_tokens=False) for text in ENDINGS]
        signs = ((token, tokenizer.decode([token])) for token in range(len(tokenizer)))
        self._letters = [token for token, sign in signs if sign.isascii() and sign.isupper()]

    def answer(self, path: str, query: dict[str, list[str]], body: Any) -> dict[str, Any]:
        """Takes the time that it has to, of a completion side by side with others."""
        if path == "/v1/completions" and "prompt_logprobs" not in body:
            return self._paced(body)
        if path == "/collective_rpc":
            time.sleep(self._costs.weights / self._costs.link)
        told: dict[str, Any] = super().answer(path, query, body)
        return told

    def _paced(self, body: dict[str, Any]) -> dict[str, Any]:
        costs, most = self._costs, body["max_tokens"]
        stage = costs.limit.index(most) if most in costs.limit else 0
        random = np.random.default_rng(body["seed"])
        lengths = drawn(random, body["n"], costs.median[stage], costs.spread, most)
        self._writer.write(lengths)
        ending = [*self._endings[stage], body["stop_token_ids"][0]]
        choices = []
        for index, length in enumerate(lengths):
            begun = random.choice(self._letters, max(0, length - len(ending))).tolist()
            ids = [*begun, *ending][-length:]
            told = {"token_logprobs": [-1.0] * length}
            choices.append(
                {"index": index, "token_ids": ids, "logprobs": told, "finish_reason": "stop"}
            )
        return {"choices": choices}


def main() -> None:
    """Listens."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a folder")
    parser.add_argument("costs", type=Path, help="JSON of costs, as scale_sim.py takes it")
    parser.add_argument("--servers", type=int, default=1)
    options = parser.parse_args()
    costs = costs_of(json.loads(options.costs.read_text("utf-8")))
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    with ExitStack() as servers:
        for _ in range(options.servers):
            model = AutoModelForCausalLM.from_pretrained(options.model).eval()
            server = servers.enter_context(PacedServer(tokenizer, model, costs))
            print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
