"""``alive solve``."""

from __future__ import annotations

import click

from alive.cli.options import max_tokens_option, sampler_option, seed_option, verbose_option

_EXAMPLES = """
\b
Examples:
  alive solve seed "Work out 12 + 7 - 3:"
  alive solve seed "Work out 12 + 7 - 3:" --best-of 8
  alive solve runs/mine "Ann has 12 pens. Ann finds 9. Number of pens now:" --revise 2
"""


@click.command("solve", epilog=_EXAMPLES)
@click.argument("model", metavar="MODEL|RUN")
@click.argument("problem")
@click.option(
    "--revise",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Most revisions; each follows a blind review that does not say right.",
)
@click.option(
    "--best-of",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Attempts, of which the one goes on whose answer the reviews believe in most.",
)
@sampler_option
@max_tokens_option
@seed_option
@verbose_option
def solve_command(
    model: str,
    problem: str,
    revise: int,
    best_of: int,
    servers: tuple[str, ...],
    max_tokens: int | None,
    seed: int,
) -> None:
    """Attempt a problem, review the attempt without knowing the answer, revise it."""
    from rich.console import Console

    from alive.api import solve
    from alive.cli.tables import solution_panels

    solution = solve(
        model,
        problem,
        revise=revise,
        best_of=best_of,
        seed=seed,
        max_tokens=max_tokens or 0,
        servers=servers,
    )
    console = Console()
    for panel in solution_panels(solution):
        console.print(panel)
    # The answer is the model's text: printed as it is, never read as markup.
    console.print("answer:", solution.answer or "none", markup=False, highlight=False)
