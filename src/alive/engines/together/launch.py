"""Starts the ranks of a run on this machine, by torch's own launcher."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import uuid
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alive.engines.probe import usable_cpus
from alive.errors import RankError, UserError

__all__ = ["launch"]

_SAVING = 600
"""Seconds that ranks get to save the run in once they are told to end."""


def launch(ranks: int, arguments: Sequence[str]) -> int:
    """Runs an ``alive`` command as so many processes, and waits for them.

    They speak over the loopback interface. Where one fails the others are ended. The first one
    speaks for all; what another one said is shown where that one failed alone.

    Args:
        ranks: At least 2.
        arguments: What follows ``alive``.

    Returns:
        The exit code: 0, or that of the rank that failed first.
    """
    import torch
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # What it would say of a rank that failed, the rank has said better.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cpus() // ranks)))
    if not torch.cuda.is_available():
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    with tempfile.TemporaryDirectory(prefix="alive-ranks-") as said:
        others = dict.fromkeys(range(1, ranks), Std.ALL)
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=ranks,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="127.0.0.1:0",
            local_addr="127.0.0.1",
            max_restarts=0,
            shutdown_timeout=_SAVING,
            logs_specs=DefaultLogsSpecs(said, others),
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # it leaves files open
                elastic_launch(config, sys.executable)("-m", "alive", *arguments)
        except ChildFailedError as error:
            return _told(error.failures, Path(said))
        except SignalException as error:
            return 128 + error.sigval
    return 0


def _told(failures: Mapping[int, Any], said: Path) -> int:
    """Shows what ranks said that failed while the first one did not; returns the exit code."""
    codes = {rank: one.exitcode for rank, one in failures.items()}
    # Who lost another, or was ended for another's sake, is not who failed.
    after = (RankError.exit_code, -signal.SIGTERM)
    first = min(codes, key=lambda rank: (codes[rank] in after, rank))
    told = codes.get(0) == UserError.exit_code or codes[first] >= 128  # or stopped by a signal
    for rank in sorted(set(codes) - {0}) if not told else ():
        for file in sorted(said.glob(f"**/{rank}/std*.log")):
            if text := file.read_text("utf-8", "replace").strip():
                print(f"rank {rank}: {text}", file=sys.stderr)
    code: int = codes[first]
    if code < 0:
        print(f"rank {first} was ended by signal {-code}", file=sys.stderr)
    return code if code > 0 else 128 - code
