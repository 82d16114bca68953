"""Settings from where users write them: a preset, TOML files, and ``--set section.key=value``."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from alive import doors
from alive.config import ARMS, Config
from alive.errors import ConfigError

Layer = tuple[str, Mapping[str, Any]]
"""Where settings come from, for messages, and the settings as nested plain values."""

GONE: Mapping[str, str] = {
    "learn.repair_weight": "is now learn.corrected_weight",
    "learn.locate_weight": "is gone: the sound beginnings of wrong attempts earned nothing",
    "learn.least_reviews": "is gone: a step learns at least 32 reviews, earlier ones if need be",
    "learn.plain_share": "is gone: 0.7 of what a right attempt teaches, the plain prompt learns",
    "learn.min_right": "is gone: every right attempt trains",
    "learn.trivial_weight": "is gone: a task that every attempt solved weighs 0.3",
    "learn.max_grad_norm": "is gone: gradients are clipped to the norm 1",
    "learn.clip_low": "is gone: arm grpo clips ratios to 0.8..1.28",
    "learn.clip_high": "is gone: arm grpo clips ratios to 0.8..1.28",
    "corpus.min_chunk_tokens": "is gone: documents of fewer than 8 tokens are dropped",
    "corpus.decontaminate_ngram": "is gone: 13 words in a row shared with a suite are a leak",
    "game.plain_attempts": "is gone: half of a task's attempts are made without words",
    "game.resamples": "is gone: a poser is asked three times",
    "game.max_span_words": "is gone: a span has at most 10 words",
    "game.max_span_share": "is gone: a span is at most 15 % of its document",
    "warmup.format_steps": "is gone: an attempt without a box is asked for its answer",
    "evaluate.looks": "is gone: the first 60 problems of a suite are looked at",
    "game.context": "is gone: a corpus's Framing has context",
    "game.min_share_before": "is gone: a corpus's Framing has least_share_before",
    "game.max_type_share": "is gone: a corpus's Framing has most_type_share",
}
"""Settings of earlier versions, and what became of each."""


def load_config(
    preset: str | None = None, files: Sequence[Path] = (), overrides: Sequence[str] = ()
) -> Config:
    """Builds the settings of a run: preset, then TOML files in order, then overrides.

    Args:
        preset: A name of ``preset_names``; None for the plain defaults.
        files: TOML files with the layout of ``Config``.
        overrides: ``section.key=value``; the value in TOML syntax, or a bare string.

    Raises:
        ConfigError: Names the key, where it was set, and the nearest name or the allowed values.
    """
    return build_config(config_layers(preset, files, overrides))


def config_layers(
    preset: str | None, files: Sequence[Path], overrides: Sequence[str]
) -> list[Layer]:
    """Reads the layers ``load_config`` merges.

    Raises:
        ConfigError: A layer cannot be read.
    """
    layers: list[Layer] = []
    if preset is not None:
        layers.append((f"preset {preset}", _read_preset(preset)))
    layers += [(str(file), _read_file(file)) for file in files]
    layers += [(f"--set {text}", _parse_override(text)) for text in overrides]
    return layers


def build_config(layers: Sequence[Layer]) -> Config:
    """Merges layers, later ones on top, and checks the whole.

    Raises:
        ConfigError: See ``load_config``.
    """
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for source, values in layers:
        for key, value in leaves(values):
            _check_known(key, source)
            origin[key] = source
            _put(merged, key, value)
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(item, origin) for item in error.errors())) from None


def stored_config(source: str, values: Mapping[str, Any]) -> Config:
    """Builds the settings of a stored run to look at it; those that are gone are left out.

    Args:
        source: Where they come from, for messages.
        values: As ``read_config`` returns them.

    Raises:
        ConfigError: See ``load_config``.
    """
    known: dict[str, Any] = {}
    for key, value in leaves(values):
        if key not in GONE:
            _put(known, key, value)
    return build_config([(source, known)])


def gone_in(values: Mapping[str, Any]) -> list[str]:
    """Says what became of each setting of a stored run that is gone."""
    return [f"{key} {GONE[key]}" for key, _ in leaves(values) if key in GONE]


def implied_preset(layers: Sequence[Layer]) -> str | None:
    """Returns the preset of a world's own model, where layers name that model or none at all.

    Its sizes are for it alone: any other model gets the plain defaults.
    """
    named = [value for _, values in layers for key, value in leaves(values) if key == "model.id"]
    world = doors.model_world(str(named[-1] if named else Config().model.id))
    return world.preset.name.removesuffix(".toml") if world and world.preset else None


def preset_names() -> list[str]:
    """Returns the names of the shipped presets, the worlds' included."""
    return sorted(doors.preset_files())


def known_keys() -> dict[str, str]:
    """Returns every setting as ``section.key`` with its description."""
    keys: dict[str, str] = {}
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            for inner, inner_field in field.annotation.model_fields.items():
                keys[f"{name}.{inner}"] = inner_field.description or ""
        else:
            keys[name] = field.description or ""
    return keys


def toml(value: object) -> str:
    """Returns a plain value in TOML."""
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, str):
        # A basic string is JSON's but for one character, which TOML wants escaped as well.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    return json.dumps(value)


def as_arguments(config: Config) -> list[str]:
    """Returns the shortest options that build these settings: the nearest preset, and the rest."""
    wanted = dict(leaves(config.model_dump(mode="json")))
    best: list[str] | None = None
    # Without a preset the command line takes the model's own, where a world brought it.
    own = implied_preset([("", config.model_dump())])
    for preset in ([] if own else [None]) + preset_names():
        layer = dict(leaves(load_config(preset).model_dump(mode="json")))
        options = ["--preset", preset] if preset else []
        if not preset:
            options = ["--model", config.model.id, "--corpus", *config.corpus.paths]
            layer |= {key: wanted[key] for key in ("model.id", "corpus.paths")}
        for key, value in wanted.items():
            if layer[key] != value:
                options += ["--set", f"{key}={toml(value)}"]
        if best is None or len(options) < len(best):
            best = options
    assert best is not None
    return best


def _read_preset(name: str) -> dict[str, Any]:
    files = doors.preset_files()
    if name not in files:
        raise ConfigError(
            f"--preset {name}: no such preset{_nearest(name, preset_names())}; "
            f"there are {', '.join(preset_names())}"
        )
    return tomllib.loads(files[name].read_text("utf-8"))


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such settings file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from None


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, raw = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(f"--set {text}: write it as section.key=value")
    nested: dict[str, Any] = {}
    _put(nested, key, _toml_value(raw.strip()))
    return nested


def _toml_value(raw: str) -> Any:
    """Reads one TOML value; what is not TOML is a string, so that paths need no quotes."""
    try:
        parsed = tomllib.loads(f"value = {raw}")
    except tomllib.TOMLDecodeError:
        return raw
    return parsed["value"] if set(parsed) == {"value"} else raw


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields nested settings as ``section.key`` and value."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _put(nested: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        nested = nested.setdefault(section, {})
    nested[last] = value


def _check_known(key: str, source: str) -> None:
    known = known_keys()
    if key in known:
        return
    if key in GONE:
        raise ConfigError(f"{source}: the setting {key} {GONE[key]}")
    if any(name.startswith(f"{key}.") for name in known):
        raise ConfigError(f"{source}: {key} is a section; set one of its keys, as {key}.KEY=VALUE")
    # A key without its section ("learning_rate") is the commonest slip; match on the last part too.
    tail = key.split(".")[-1]
    tails = [name for name in known if tail in (name.split(".")[-1], _initials(name))]
    tails.sort(key=lambda name: name.split(".")[0] != key.split(".")[0])
    hint = f" (did you mean {tails[0]}?)" if tails else _nearest(key, list(known))
    raise ConfigError(f"{source}: unknown setting {key}{hint}")


def _initials(name: str) -> str:
    """``lr`` of ``learn.learning_rate``."""
    return "".join(word[:1] for word in name.split(".")[-1].split("_"))


def _nearest(name: str, choices: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else ""


_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a string",
    "tuple_type": 'a list, such as ["a", "b"]',
}


def _explain(error: ErrorDetails, origin: Mapping[str, str]) -> str:
    parts = [str(part) for part in error["loc"]]
    key = next((".".join(parts[:n]) for n in (2, 1) if ".".join(parts[:n]) in origin), "")
    where = origin.get(key, "settings")
    kind = error["type"]
    if kind == "together":  # the message names the setting to blame first
        blamed = origin.get(error["msg"].split()[0], "settings")
        if blamed.startswith(("--set warmup.teacher=", "--set sampling.servers=")):
            blamed = "--set"  # what was given may be secret
        return f"{blamed}: {error['msg']}"
    if kind == "literal_error":
        wanted = "one of " + ", ".join(repr(choice) for choice in _choices(key))
    else:
        wanted = _EXPECTED.get(kind) or _range(key) or error["msg"].lower()
    hint = _nearest(str(error["input"]), ARMS) if kind == "arm" else ""
    return f"{where}: {key or '.'.join(parts)} must be {wanted}, not {error['input']!r}{hint}"


def _choices(key: str) -> tuple[Any, ...]:
    """The values that a setting, or an item of a list of them, may have."""
    values = get_args(_field(key).annotation)
    return get_args(values[0]) or values


def _field(key: str) -> FieldInfo:
    *sections, last = key.split(".")
    model: Any = Config
    for section in sections:
        model = model.model_fields[section].annotation
    field: FieldInfo = model.model_fields[last]
    return field


def _range(key: str) -> str:
    """Says the allowed range of a number, from the constraints its type carries."""
    signs = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    words = [
        f"{signs[name]} {getattr(item, name):g}"
        for item in _field(key).metadata
        for name in signs
        if getattr(item, name, None) is not None
    ]
    return " and ".join(words)
