"""The model card of an exported run: what it learned from, what was measured, how to load it.

Names that come from outside (paths, domains, model ids) are shown as code, whatever they hold, and
reach the card's YAML head through the library that reads it on the other side.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from alive.config import Config
from alive.doors import models
from alive.store.atomic import write_bytes

__all__ = ["Card", "write_card"]

_FIGURES = {
    "sampled_accuracy": "accuracy, sampled",
    "accuracy": "accuracy, greedy",
    "cut": "cut at the token limit",
    "boxed": "answered in a box",
    "self_correction.net": "net of revising",
    "reviewer_j": "reviewer J",
}
"""Measures of a card: key in a result -> what a reader is told."""

_ALWAYS = (
    *("arm", "seed", "learn.learning_rate", "model.lora_rank", "model.dtype"),
    *("game.documents_per_step", "game.masks_per_document", "game.solutions_per_mask"),
)
"""Settings a card gives whether or not they differ from the defaults."""

_NEVER = frozenset(
    {"out", "checkpoint_every", "checkpoint_minutes", "keep_checkpoints"}
    | {"corpus.paths", "model.id", "model.threads"}
    # May name a private machine or hold a password.
    | {"warmup.teacher"}
)
"""Settings that say nothing of the model, or are told elsewhere in the card."""

_LEARNED = {
    "alive": "posing problems on it, solving them, reviewing its own tries in words, and learning "
    "from what came of that",
    "rft": "posing problems on it, solving them, and learning from the tries that were right",
    "star": "posing problems on it, solving them, trying again with the answer as a hint, and "
    "learning from the tries that were right",
    "grpo": "posing problems on it, solving them, and learning from right and wrong tries by "
    "policy gradient",
}
"""Arm -> what it does, for people."""

_OWN = "posing problems on it, solving them, and learning by an arm of its user's own"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_FEW = 100
"""Problems below which a card says that they are few."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a card is made of.

    Attributes:
        config: The run's settings.
        step: Training steps the exported weights have taken.
        state: The checkpoint's game state.
        summary: The run's ``summary.json``; empty while it is unfinished.
        versions: The run's ``environment.json``.
        architecture: The class that ``config.json`` names.
        tokenizer: ``tokenizer.json``; empty where the tokenizer has none.
        adapters: Whether the folder holds adapters alone.
    """

    config: Config
    step: int
    state: Mapping[str, Any]
    summary: Mapping[str, Any]
    versions: Mapping[str, Any]
    architecture: str
    tokenizer: Mapping[str, Any]
    adapters: bool

    @property
    def measured(self) -> bool:
        """Whether the summary's figures are of these very weights."""
        return "after" in self.summary and self.summary["steps"] == self.step


def write_card(card: Card, folder: Path) -> None:
    """Writes ``README.md`` into a folder.

    Raises:
        OSError: The disk refuses.
    """
    write_bytes(folder / "README.md", render(card).encode())


def render(card: Card) -> str:
    """Returns the card: a YAML head and Markdown."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.filters |= {"code": _code, "cell": _cell}
    source = (resources.files("alive.publish") / "templates" / "model_card.md").read_text("utf-8")
    body = environment.from_string(source).render(
        card=card,
        config=card.config,
        state=card.state,
        corpus=card.state.get("corpus", {}),
        versions=card.versions,
        packages=card.versions.get("packages", {}),
        learned=_LEARNED.get(card.config.arm, _OWN),
        shipped=_shipped(),
        settings=list(_settings(card.config)),
        figures=list(_figures(card.summary)) if card.measured else [],
        verdicts=card.summary.get("verdicts", ()) if card.measured else (),
        few=card.measured and card.summary["after"]["n"] < _FEW,
        unread_by_llama_cpp=_unread_by_llama_cpp(card.tokenizer),
    )
    return f"---\n{_head(card)}---\n\n{body.strip()}\n"


def _shipped() -> dict[str, str]:
    """Models that come along, all Apache-2.0 -> their hub id; empty where there is none."""
    return dict.fromkeys(models(), "") | {"smollm2": "HuggingFaceTB/SmolLM2-135M-Instruct"}


def _head(card: Card) -> str:
    from huggingface_hub import ModelCardData

    model = card.config.model.id
    # A folder on somebody's disk is no base model to a reader; a hub id is.
    on_hub = re.fullmatch(r"[\w.-]+/[\w.-]+", model) and not Path(model).expanduser().is_dir()
    shipped = _shipped()
    base = shipped.get(model, model if on_hub else "")
    head: str = ModelCardData(
        base_model=base or None,
        library_name="peft" if card.adapters else "transformers",
        license="apache-2.0" if model in shipped else None,
        pipeline_tag="text-generation",
        tags=["alive-rl", "self-play", "reinforcement-learning"],
    ).to_yaml()
    return f"{head}\n"


def _settings(config: Config) -> Iterator[tuple[str, str]]:
    """Yields key and value of the settings a reader wants: a few always, the rest if changed."""
    from alive.settings import known_keys

    given, usual = config.model_dump(mode="json"), Config().model_dump(mode="json")
    for key in known_keys():
        section, _, leaf = key.rpartition(".")
        value = (given[section] if section else given)[leaf]
        default = (usual[section] if section else usual)[leaf]
        if key not in _NEVER and (key in _ALWAYS or value != default):
            yield key, json.dumps(value, ensure_ascii=False)


def _figures(summary: Mapping[str, Any]) -> Iterator[tuple[str, int, str, str, str, str]]:
    """Yields domain, problems, measure, before, after and change, in points with intervals."""
    before, after = summary.get("before", {}), summary["after"]
    for domain, row in {**after.get("domains", {}), "total": after}.items():
        old = before if domain == "total" else before.get("domains", {}).get(domain, {})
        for key, label in _FIGURES.items():
            if _find(row, key) is None:
                continue
            change = summary.get("change", {}).get(key, {}).get(domain)
            difference = "" if not change else (
                f"{100 * change['mean']:+.1f} {_interval(change['low'], change['high'])}"
            )  # fmt: skip
            yield domain, row.get("n", 0), label, _figure(old, key), _figure(row, key), difference


def _figure(row: Mapping[str, Any], key: str) -> str:
    value = _find(row, key)
    if value is None:
        return "-"
    low, high = row.get(f"{key}_interval") or (None, None)
    shown = f"{100 * value:.1f}"
    return shown if low is None or high is None else f"{shown} {_interval(low, high)}"


def _interval(low: float, high: float) -> str:
    return f"[{100 * low:.1f}, {100 * high:.1f}]"


def _find(row: Mapping[str, Any], key: str) -> float | None:
    value: Any = row
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, (int, float)) else None


def _code(text: object) -> str:
    """Shows any text as Markdown code on one line."""
    plain = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text)) or " "
    longest = max((len(run) for run in re.findall("`+", plain)), default=0)
    fence = "`" * (longest + 1)
    # A space on each side keeps the text's own backticks and is not shown.
    pad = " " if longest or plain.strip(" ") != plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def _cell(text: object) -> str:
    """Shows any text as code in a table, where a bar would end the cell."""
    return _code(text).replace("|", r"\|")


def _unread_by_llama_cpp(tokenizer: Mapping[str, Any]) -> bool:
    """Whether a tokenizer cuts text as that of a world's model which the converter rejects."""
    files = [own.folder / "tokenizer.json" for own in models().values() if not own.llama_cpp]
    ways = [json.loads(file.read_text("utf-8"))["pre_tokenizer"] for file in files]
    return bool(tokenizer) and tokenizer.get("pre_tokenizer") in ways
