"""The own forward pass (``engines/lean.py``) against transformers' modules, with the same weights.

Sampling, both sides from matrices in the compute type, not packed; and passes of
learning over completions of unlike lengths, 16 of a prompt. The sides alternate, so that noise
meets both alike. Operations are what torch is asked for a token, views left out: each is one launch
on a GPU, or some. Lean has layers that read the same put together, as the sampler's copy has.

    python benchmarks/lean.py MODEL [--rows 16 64] [--rounds 5] [--threads 2]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

from timing import now

PROMPT, SAMPLED, GROUPS, PASS = 60, 24, 4, 4096

VIEWS = {
    *("slice", "transpose", "view", "unsqueeze", "select", "squeeze", "split", "chunk", "reshape"),
    *("split_with_sizes", "expand", "t", "resolve_conj", "resolve_neg", "alias", "detach"),
}
"""Operations that touch no number."""


class Both:
    """One model in two ways.

    Attributes:
        sides: By name, what samples; and what learns.
    """

    def __init__(self, name: str) -> None:
        import torch

        from alive.config import ModelConfig
        from alive.engines.copies import SamplingCopy
        from alive.engines.lean import LeanModel, lean_decoder
        from alive.engines.local.loading import compute_type
        from alive.engines.precision import Precision
        from alive.engines.weights import load_model
        from alive.learn.loss import Forward

        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.precision = Precision(compute_type(ModelConfig(id=name), device), device)
        self.model, _ = load_model(name, "float32", device)
        dtype = self.precision.dtype
        with self.precision.autocast():
            lean = lean_decoder(self.model, dtype)
        if lean is None:
            raise SystemExit(f"{name} has no lean pass: its family is another")
        copied = SamplingCopy.of(self.model, dtype, fuses=True)
        self.sides: dict[str, tuple[Any, Forward]] = {
            "transformers": (
                SamplingCopy.of(self.model, dtype).model,
                Forward.of(self.model, dtype),
            ),
            "lean": (LeanModel(copied.model, dtype), Forward.of(self.model, dtype, lean)),
        }

    def sample(self, side: str, rows: int, tokens: int = SAMPLED) -> None:
        """Writes tokens greedily after prompts of ``PROMPT``."""
        import torch

        from alive.engines.local.decode import Decoder
        from alive.engines.local.rows import Asked
        from alive.protocols import SamplingParams

        size = min(self.model.config.vocab_size, 400)
        decoder = Decoder(
            self.sides[side][0], stop_ids=(), pad_id=0, vocabulary=size,
            decode=lambda _: "", dtype=self.precision.dtype,
        )  # fmt: skip
        params = SamplingParams(tokens, temperature=0.0)
        prompts = [tuple((i + 7 * t) % size for t in range(PROMPT)) for i in range(rows)]
        with torch.inference_mode(), self.precision.autocast():
            decoder.draw([Asked(prompt, 1, params, 0) for prompt in prompts])

    def learn(self, side: str) -> None:
        """Takes the gradient of completions of 20 to 200 tokens."""
        from alive.learn.batch import micro_batches
        from alive.types import TrainingRecord

        size = min(self.model.config.vocab_size, 400)
        records = [
            TrainingRecord(
                "solve",
                tuple((group + 3 * t) % size for t in range(PROMPT)),
                tuple((group + at + 5 * t) % size for t in range(20 + 12 * at)),
                1.0,
                "d",
            )
            for group in range(GROUPS)
            for at in range(16)
        ]
        for batch in micro_batches(records, {"solve": 1.0}, 0, PASS):
            with self.precision.autocast():
                values = self.sides[side][1].logprobs(batch)
            (-values.sum()).backward()
        self.model.zero_grad(set_to_none=True)

    def operations(self, side: str) -> int:
        """Operations that one further token takes: of two lengths the difference."""
        from torch.utils._python_dispatch import TorchDispatchMode

        class Count(TorchDispatchMode):
            total = 0

            def __torch_dispatch__(
                self, function: Any, types: Any, arguments: Any = (), named: Any = None
            ) -> Any:
                self.total += str(function).split(".")[1] not in VIEWS
                return function(*arguments, **(named or {}))

        counts: list[int] = []
        for tokens in (4, 5):
            with Count() as count:
                self.sample(side, 2, tokens)
            counts.append(count.total)
        fewer, more = counts
        return more - fewer


def compared(both: Both, call: Callable[[str], None], rounds: int) -> dict[str, float]:
    """Median seconds of each side, after an untimed round."""
    seconds: dict[str, list[float]] = {side: [] for side in both.sides}
    for _ in range(rounds + 1):
        for side, found in seconds.items():
            began = now()[0]
            call(side)
            if both.precision.device == "cuda":
                import torch

                torch.cuda.synchronize()
            found.append(now()[0] - began)
    return {side: statistics.median(found[1:]) for side, found in seconds.items()}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a folder, 'seed' or 'smollm2'")
    parser.add_argument("--rows", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="0: all usable CPUs")
    options = parser.parse_args()

    import torch

    from alive.engines.probe import usable_cpus

    torch.set_num_threads(options.threads or usable_cpus())
    both = Both(options.model)
    print(f"{options.model}, {both.precision.compute}, {torch.get_num_threads()} threads")
    print(f"{'':28}{'transformers':>14}{'lean':>10}{'ratio':>8}")

    def row(name: str, found: dict[str, float], digits: int = 2) -> None:
        theirs, ours = found["transformers"], found["lean"]
        print(f"{name:28}{theirs:14.{digits}f}{ours:10.{digits}f}{theirs / ours:8.2f}", flush=True)

    row("operations a token", {side: both.operations(side) for side in both.sides}, 0)
    for rows in options.rows:
        row(
            f"sampling, {rows} rows, s",
            compared(both, partial(both.sample, rows=rows), options.rounds),
        )
    row("gradients, s", compared(both, both.learn, options.rounds))


if __name__ == "__main__":
    main()
