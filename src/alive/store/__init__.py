"""The record of a run: its folder, its episodes and its checkpoints.

Everything that must survive a kill is written beside its final name and renamed into place; a
checkpoint also carries a manifest, so that one the disk lost half of is told from a sound one.
"""

from alive.store.checkpoints import Checkpoint, checkpoint_names, newest_checkpoint
from alive.store.claim import begun, is_run, is_running, read_config, resumable_config
from alive.store.episodes import EPISODE_COLUMNS, LATER, episode_rows
from alive.store.lineage import RECORD_COLUMNS
from alive.store.onlooker import Onlooker
from alive.store.run_folder import RunFolder, default_out, newest_model

__all__ = [
    "EPISODE_COLUMNS",
    "LATER",
    "RECORD_COLUMNS",
    "Checkpoint",
    "Onlooker",
    "RunFolder",
    "begun",
    "checkpoint_names",
    "default_out",
    "episode_rows",
    "is_run",
    "is_running",
    "newest_checkpoint",
    "newest_model",
    "read_config",
    "resumable_config",
]
