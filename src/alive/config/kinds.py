"""What every section of the settings is, and the kinds of values in several of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Count", "CountOrZero", "Positive", "Section", "Share", "listed"]

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]


def listed(value: Any) -> Any:
    """A lone name stands for the list of it."""
    return (value,) if isinstance(value, str) else value


class Section(BaseModel):
    """Base of every section: frozen, and no key it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)
