"""An arm of the user's own, named in the settings as ``module:function``.

Nothing but the settings can name one: no text of a corpus or a model reaches this module.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
from typing import Any, Protocol, get_args

from alive.config import Config
from alive.errors import ConfigError
from alive.prompts import Renderer
from alive.types import Episode, Loss, Role, Trained, TrainingKey, TrainingRecord

__all__ = ["Arm", "checked", "load"]

_CALL = "(episode, renderer, config, *, conditioned, warm)"


class Arm(Protocol):
    """What an episode teaches; see ``alive.arms.records``."""

    def __call__(
        self, episode: Episode, renderer: Renderer, config: Config, *, conditioned: bool, warm: bool
    ) -> tuple[list[TrainingRecord], dict[TrainingKey, Trained]]:
        """Returns the records, and the outcome of each attempt."""
        ...


def load(name: str) -> Arm:
    """Imports the function behind ``module:function``.

    The module is looked for where Python looks, and last in the working directory. An error inside
    it shows its traceback.

    Raises:
        ConfigError: There is no such module or function, or it cannot be called as an arm is.
    """
    module_name, _, function_name = name.partition(":")
    here = os.getcwd()
    if here not in sys.path:
        # Last: a file of the working directory must not take the place of an installed module.
        sys.path.append(here)
        importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # something that the module itself imports
        raise ConfigError(
            f"arm {name}: there is no module {module_name}; it is looked for in {here} and among "
            "the installed packages. Start alive in the folder of the file"
        ) from None
    arm = getattr(module, function_name, None)
    if arm is None:
        close = difflib.get_close_matches(function_name, dir(module), n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ConfigError(f"arm {name}: {module_name} has no {function_name}{hint}")
    if not callable(arm):
        raise ConfigError(
            f"arm {name}: {function_name} is of type {type(arm).__name__}; an arm is a function "
            f"{_CALL}"
        )
    _check_signature(arm, name)
    loaded: Arm = arm
    return loaded


def checked(returned: Any, name: str) -> tuple[list[TrainingRecord], dict[TrainingKey, Trained]]:
    """Returns what an arm returned, if it is what an arm returns.

    Raises:
        ConfigError: Says which part is not.
    """
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise ConfigError(
            f"arm {name} returned {_kind(returned)}; it has to return two things: a list of "
            "TrainingRecord and a dict of Trained"
        )
    records, outcomes = returned
    if not isinstance(records, list):
        raise ConfigError(f"arm {name}: its records are {_kind(records)}, not a list")
    for index, record in enumerate(records):
        if not isinstance(record, TrainingRecord):
            raise ConfigError(
                f"arm {name}: record {index} is {_kind(record)}, not a TrainingRecord"
            )
        if record.role not in get_args(Role):
            raise ConfigError(
                f"arm {name}: the role of record {index} is {record.role!r}; there are "
                f"{', '.join(get_args(Role))}"
            )
        if not record.completion_ids:
            raise ConfigError(f"arm {name}: record {index} has no completion_ids to learn")
        if record.loss not in get_args(Loss):
            raise ConfigError(
                f"arm {name}: the loss of record {index} is {record.loss!r}; there are "
                f"{', '.join(get_args(Loss))}"
            )
        if record.loss == "distil" and not record.informed_prompt_ids:
            raise ConfigError(f"arm {name}: record {index} is distilled under no prompt")
        logprobs = len(record.sampling_logprobs)
        if (logprobs or record.loss == "policy_gradient") and logprobs != len(
            record.completion_ids
        ):
            raise ConfigError(
                f"arm {name}: record {index} has {logprobs} sampling log-probabilities for "
                f"{len(record.completion_ids)} tokens"
                + ("" if logprobs else "; an attempt that was asked for its answer has none")
            )
    if not isinstance(outcomes, dict):
        raise ConfigError(f"arm {name}: its outcomes are {_kind(outcomes)}, not a dict")
    for key, outcome in outcomes.items():
        if not isinstance(outcome, Trained):
            raise ConfigError(
                f"arm {name}: the outcome of {key!r} is {_kind(outcome)}, not a Trained"
            )
    return records, outcomes


def _check_signature(arm: Any, name: str) -> None:
    try:
        inspect.signature(arm).bind(None, None, None, conditioned=True, warm=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"arm {name} cannot be called as an arm is ({error}); write it as "
            f"def {name.partition(':')[2]}{_CALL}"
        ) from None


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
