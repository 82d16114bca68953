"""Tables read batch by batch: Parquet files, and Hugging Face datasets on disk or from the Hub."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from alive.corpus.columns import Keep, Source, source_of, text_columns
from alive.corpus.files import FlawError
from alive.errors import CorpusError

BATCH = 64
"""Rows decoded at a time."""

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*(?::[\w.-]+)?")


def read_parquet(name: str, key: str, keep: Keep) -> Iterator[Source]:
    """Yields the rows of a Parquet file, a few at a time.

    Raises:
        FlawError: Not a Parquet file, or one without a column of text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Memory-mapping and pre-buffering would both keep read pages resident.
        file = pq.ParquetFile(name, pre_buffer=False, memory_map=False)
    except pa.ArrowInvalid as error:
        raise FlawError(f"{name}: not a Parquet file ({error}).") from error
    with file:
        columns = _with_domain(file.schema_arrow.names, name)
        number = 0
        for batch in file.iter_batches(BATCH, columns=list(columns), use_threads=False):
            arrays = [batch.column(column) for column in columns]
            for index in range(batch.num_rows):
                number += 1
                row_key = f"{key}:{number}"
                if keep(row_key):
                    cells = [array[index] for array in arrays]
                    yield _source_of_cells(columns, cells, f"{name}:{number}", row_key)


def _source_of_cells(columns: tuple[str, ...], cells: list[Any], place: str, key: str) -> Source:
    try:
        row = {column: cell.as_py() for column, cell in zip(columns, cells, strict=True)}
    except UnicodeDecodeError:
        return Source(place, key, None)
    return source_of(row, place, key)


def _with_domain(names: Iterable[str], place: str) -> tuple[str, ...]:
    names = list(names)
    return text_columns(names, place) + (("domain",) if "domain" in names else ())


def is_dataset(files: Iterable[str]) -> bool:
    """Whether a folder with these files is a Hugging Face dataset saved to disk."""
    present = set(files)
    return "dataset_dict.json" in present or {"state.json", "dataset_info.json"} <= present


def is_hub_id(path: str) -> bool:
    """Whether a path that is not there can name a dataset of the Hub: ``owner/name[:config]``."""
    return _HUB_ID.fullmatch(path) is not None and not Path(path).parent.exists()


def read_dataset(name: str, key: str, keep: Keep) -> Iterator[Source]:
    """Yields the rows of a Hugging Face dataset saved to disk; of several splits ``train`` alone.

    Raises:
        CorpusError: The datasets library is missing.
        FlawError: The dataset is damaged or has no ``train`` split or no column of text.
    """
    datasets = _library(name)
    try:
        dataset = datasets.load_from_disk(name, keep_in_memory=False)
    except (ValueError, KeyError, TypeError) as error:
        raise FlawError(f"{name}: a damaged dataset ({error}). Save it again.") from error
    if isinstance(dataset, datasets.DatasetDict):
        if "train" not in dataset:
            listed = ", ".join(dataset)
            raise FlawError(
                f"{name}: no split named train among its splits ({listed}). Name the folder of "
                f"one split, such as {Path(name) / next(iter(dataset), 'SPLIT')}."
            )
        dataset = dataset["train"]
    yield from _rows(dataset, name, key, keep)


def read_hub(name: str, key: str, keep: Keep) -> Iterator[Source]:
    """Yields the rows of a dataset of the Hub, fetched once; see ``fetch``."""
    yield from _rows(fetch(name), name, key, keep)


@lru_cache(maxsize=16)
def fetch(name: str) -> Any:
    """Fetches the ``train`` split of a dataset of the Hub, or finds it in the library's cache.

    Args:
        name: ``owner/name``, or ``owner/name:config`` where it has several.

    Raises:
        CorpusError: The library is missing, there is no such dataset, the Hub cannot be reached or
            what it gave cannot be read; says what to do instead.
    """
    datasets = _library(f"{name}: no such file or folder. If a dataset of the Hub is meant")
    repository, _, config = name.partition(":")
    by_hand = f"hf download --repo-type dataset {repository} --local-dir FOLDER"
    try:
        return datasets.load_dataset(repository, config or None, split="train")
    except datasets.exceptions.DatasetNotFoundError as error:
        raise CorpusError(
            f"no such file or folder: {name}, and no dataset of this name that you may read on the "
            "Hugging Face Hub. Check corpus.paths; for a private dataset run: hf auth login"
        ) from error
    except OSError as error:  # a lost connection is one
        raise CorpusError(
            f"no such file or folder: {name}, and the Hugging Face Hub cannot be asked for a "
            f"dataset of this name ({_one_line(error)}). Check corpus.paths and the network; or, "
            f"where there is one, run: {by_hand}; then name that folder."
        ) from error
    except (ValueError, datasets.exceptions.DatasetsError) as error:
        raise CorpusError(
            f"{name}: the dataset cannot be read ({_one_line(error)}). One configuration of "
            f"several is named {repository}:CONFIG; files can be fetched by hand: {by_hand}"
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _library(needed_by: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise CorpusError(
            f"{needed_by}: reading a Hugging Face dataset needs the datasets library: "
            "pip install 'alive-rl[datasets]'."
        ) from error
    return datasets


def _rows(dataset: Any, name: str, key: str, keep: Keep) -> Iterator[Source]:
    columns = _with_domain(dataset.column_names, name)
    dataset = dataset.select_columns(list(columns)).with_format("arrow")
    number = 0
    for table in dataset.iter(BATCH):
        for index in range(table.num_rows):
            number += 1
            row_key = f"{key}:{number}"
            if keep(row_key):
                cells = [table.column(column)[index] for column in columns]
                yield _source_of_cells(columns, cells, f"{name} row {number}", row_key)
