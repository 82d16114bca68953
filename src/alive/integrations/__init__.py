"""The game for trainers of others: what it asks, and what an answer is worth as a number.

Those trainers know scalar rewards alone. So the game travels, and its words do not: conditions,
critiques that teach, and distillation stay with ``alive train``.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from alive.errors import UserError

__all__ = ["MissingPackageError", "require"]


class MissingPackageError(UserError):
    """A package that an integration is for is not installed, or is of another version."""


def require(package: str, least: str, below: str = "") -> None:
    """Makes sure that a package is there which an integration is for.

    Args:
        package: Its name, and that of our extra.
        least: The first version that will do.
        below: The first version that is unknown to us; empty: none.

    Raises:
        MissingPackageError: It is missing, too old or too new; the message says what to install.
    """
    from packaging.specifiers import SpecifierSet

    wanted = f">={least}" + (f",<{below}" if below else "")
    remedy = f"pip install 'alive-rl[{package}]'"
    try:
        found = version(package)
    except PackageNotFoundError:
        raise MissingPackageError(
            f"alive.integrations.{package} needs the package {package}: {remedy}"
        ) from None
    if not SpecifierSet(wanted).contains(found, prereleases=True):
        raise MissingPackageError(
            f"alive.integrations.{package} needs {package} {wanted}, and {found} is installed: "
            f"{remedy}"
        )
