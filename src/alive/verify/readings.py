"""What a text may be read as: one of these kinds, decided by the text alone."""

from __future__ import annotations

from dataclasses import dataclass, field

from alive.verify.dates import Clock, Day
from alive.verify.numbers import Number
from alive.verify.units import Unit

__all__ = ["Choice", "Exact", "Formula", "Group", "Named", "Quoted", "Reading"]


@dataclass(frozen=True, slots=True)
class Exact:
    """What equals nothing but itself: a code, a version, a chemical formula, plain text.

    Attributes:
        kind: ``text``, ``code``, ``chemical``, ``version``, ``infinity`` or ``base`` (digits).
        form: What is compared.
    """

    kind: str
    form: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A letter, alone or before what it stands for: ``(A)``, ``B. Paris``.

    Attributes:
        letter: Folded.
        rest: What it stands for, as words; empty where it is not said.
        symbol: The letter as written, for where it is a variable after all.
    """

    letter: str
    rest: str
    symbol: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Quoted:
    """Text in quotation marks: a string where both sides have them, else what stands inside."""

    inner: str


@dataclass(frozen=True, slots=True)
class Named:
    """A value with its name: ``x = 5``. A name that one side leaves out is forgiven."""

    name: str
    value: Reading
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """Several values.

    Attributes:
        kind: How they are held together: the opening and the closing bracket (``(]``), or ``bare``,
            ``range``, ``product``, ``union``, ``matrix``, ``row`` or ``pair``.
        items: The values in their order.
        text: The whole text, cleaned.
    """

    kind: str
    items: tuple[Reading, ...]
    text: str

    @property
    def ordered(self) -> bool:
        """Whether the order of the values counts."""
        return self.kind not in ("bare", "{}", "union")


@dataclass(frozen=True, slots=True)
class Formula:
    """LaTeX or algebra, for ``alive.equivalence``.

    Attributes:
        text: In LaTeX.
        unit: A unit behind it.
    """

    text: str
    unit: Unit | None


Reading = Number | Day | Clock | Exact | Choice | Quoted | Named | Group | Formula
