"""The templates of pages: every value is escaped, a missing one is an error."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import jinja2

from alive.report.text import clip, percent, rate_class

__all__ = ["environment", "stylesheet"]


@cache
def environment(package: str) -> jinja2.Environment:
    """Returns the templates of a package's ``templates`` folder, and those shared by all."""
    templates = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(package), jinja2.PackageLoader("alive.report")]
        ),
    )
    templates.filters |= {"percent": percent, "rate_class": rate_class, "clip": clip}
    templates.globals |= {"number": _number}
    return templates


@cache
def stylesheet() -> str:
    """Returns the style that all pages share."""
    return (resources.files("alive.report") / "templates" / "style.css").read_text("utf-8")


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:,}"
