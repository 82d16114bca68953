"""How a step's time changes from 1 to 1,024 GPUs: simulated, from costs that were measured.

    python benchmarks/scale_sim.py
    python benchmarks/scale_sim.py --documents-each 2
    python benchmarks/scale_sim.py --costs costs.json --mode replicas --measured seconds.json

Three ways are compared, by the model of scale_model.py:

- ranks: every GPU plays its share of the documents and learns it; gradients are added up.
- replicas: some GPUs sample, the others learn; weights go over after each step.
- off: the same, with step k + 1 sampled while step k is learned.

Costs without --costs are those of Qwen2.5-7B on H200, estimated as `alive plan --gpus` does. A file
names any of the fields of `Costs`: `token` and `row` follow from the rates of `alive bench` at two
numbers of rows (rows / rate = token + row x rows), `train` from its learner's. What a step measured
with {"1": seconds, "2": ...} replicas is compared with what is predicted for as many by --measured,
with --learners that learn.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from scale_model import MODES, PARTS, knees, simulated, split
from scale_play import Costs, costs_of


def default_costs() -> Costs:
    """Costs of Qwen2.5-7B on H200, all weights, as ``alive plan --gpus`` estimates them."""
    from alive.engines.shape import KNOWN
    from alive.fleet import GPUS, Rates

    gpu, shape = GPUS["H200"], KNOWN["Qwen/Qwen2.5-7B"]
    rates = Rates(gpu, shape)
    row = rates.token_seconds(1) - rates.token_seconds(0)
    return Costs(
        token=rates.token_seconds(0),
        row=row,
        train=1 / rates.trained_tokens(0, True),
        weights=2 * shape.parameters,
        gradients=4 * shape.parameters,
        link=gpu.link,
        network=gpu.network,
        latency=0.5,
        requests=(8, 128, 16),
        guesses=16,
    )


def read_costs(path: Path) -> Costs:
    """Reads costs; what a file does not name is 0, or as ``Costs`` has it.

    Raises:
        SystemExit: It names what is no cost, or stages that do not match.
    """
    values: dict[str, Any] = json.loads(path.read_text("utf-8"))
    known = {field.name for field in fields(Costs)}
    if unknown := ", ".join(sorted(set(values) - known)):
        sys.exit(f"{path}: no such cost: {unknown}; there are {', '.join(sorted(known))}")
    try:
        return costs_of(values)
    except ValueError as error:
        sys.exit(f"{path}: {error}")


def print_scaling(mode: str, costs: Costs, options: argparse.Namespace) -> None:
    """Prints a row for every number of GPUs, and the knees."""
    least = 0 if mode == "ranks" else 1  # one GPU cannot be two
    gpus = [1 << power for power in range(least, options.most.bit_length())]
    numbers = [options.documents_each * count or options.documents for count in gpus]
    steps = []
    print(f"\n{mode}: GPUs, documents, seconds a step by part, tokens/s, efficiency, dominant")
    for count, number in zip(gpus, numbers, strict=True):
        samplers, learners = split(count, mode, options.learner_share)
        step = simulated(mode, samplers, learners, number, costs, options.seed, options.steps)
        steps.append(step)
        parts = ", ".join(f"{part} {getattr(step, part):.3g}" for part in PARTS)
        share = step.rate / steps[0].rate * gpus[0] / count
        print(
            f"{count}, {number}, {parts}, total {step.total:.3g}, {step.rate:,.0f}, {share:.2f}, "
            f"{step.dominant}",
            flush=True,
        )
    found = knees(gpus, steps, numbers)
    print("knees, GPUs: " + ", ".join(f"{name} {count}" for name, count in found.items()))


def print_measured(costs: Costs, options: argparse.Namespace) -> None:
    """Prints what was measured beside what is predicted."""
    points = json.loads(options.measured.read_text("utf-8"))
    number = options.documents
    print(f"{options.mode}: replicas, measured s, predicted s, predicted / measured")
    for replicas, seconds in sorted((int(key), value) for key, value in points.items()):
        learners = replicas if options.mode == "ranks" else options.learners
        step = simulated(
            options.mode, replicas, learners, number, costs, options.seed, options.steps
        )
        print(f"{replicas}, {seconds:.3g}, {step.total:.3g}, {step.total / seconds:.2f}")


def main() -> None:
    """Reads the options and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--costs", type=Path, help="JSON of measured costs")
    parser.add_argument("--mode", choices=MODES, help="one way; else all")
    parser.add_argument("--documents", type=int, default=64, help="a step, whatever the GPUs")
    parser.add_argument("--documents-each", type=int, default=0, help="a step for each GPU instead")
    parser.add_argument("--most", type=int, default=1024, help="GPUs")
    parser.add_argument(
        "--learner-share", type=float, default=0.5, help="GPUs of replicas' that learn"
    )
    parser.add_argument("--learners", type=int, default=1, help="beside the measured replicas")
    parser.add_argument("--steps", type=int, default=3, help="whose mean is taken")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measured", type=Path, help='JSON: {"1": seconds a step, "2": ...}')
    options = parser.parse_args()
    costs = read_costs(options.costs) if options.costs else default_costs()
    if options.measured:
        if not options.mode:
            parser.error("--measured needs the --mode that was measured")
        print_measured(costs, options)
        return
    for mode in (options.mode,) if options.mode else MODES:
        print_scaling(mode, costs, options)


if __name__ == "__main__":
    main()
