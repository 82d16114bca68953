"""Rows of tables: which columns are the text, and tables read batch by batch."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alive.corpus.clean import has_lone_surrogates
from alive.errors import CorpusError
from alive.types import Framing

Keep = Callable[[str], bool]
"""Whether the source document with this key is wanted."""

TEXT_COLUMNS = (
    ("text",),
    ("question", "answer"),
    ("problem", "solution"),
    ("prompt", "completion"),
)
"""The columns that make a row's text, in order of preference; joined by a blank line."""

BATCH = 64
"""Rows decoded at a time."""

LONGEST_LINE = 1 << 26
"""A jsonl line has to be parsed whole; a longer one (64 MiB) is refused."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source document: what is held out or trained on as one.

    Attributes:
        name: Where it is, for people: a file, ``file:line``, ``builtin:NAME topic``.
        key: Its name within the corpus, which decides its split.
        blocks: Its text in pieces of any size, to be read once; None when it is not valid UTF-8.
        domain: Its label for reporting.
        whole: True when the text is one document as it stands, not to be chunked.
        framing: How tasks show its documents.
    """

    name: str
    key: str
    blocks: Iterable[str] | None
    domain: str = ""
    whole: bool = False
    framing: Framing = field(default_factory=Framing)


def source_of(row: object, place: str, key: str) -> Source:
    """Returns the source document of a row.

    Raises:
        CorpusError: The row is no object, or has no column of text.
    """
    if not isinstance(row, Mapping):
        raise CorpusError(
            f'{place}: a {type(row).__name__} where an object such as {{"text": "..."}} is needed.'
        )
    parts = [_string(row, column, place) for column in text_columns(row, place)]
    domain = _string(row, "domain", place) if "domain" in row else ""
    text = "\n\n".join(part for part in parts if part)
    broken = has_lone_surrogates(text + domain)
    return Source(place, key, None if broken else [text], "" if broken else domain)


def text_columns(names: Iterable[str], place: str) -> tuple[str, ...]:
    """Returns the columns that make the text of a row with these columns.

    Raises:
        CorpusError: There are none; lists the columns there are.
    """
    present = set(names)
    for columns in TEXT_COLUMNS:
        if present.issuperset(columns):
            return columns
    wanted = ", ".join(" + ".join(columns) for columns in TEXT_COLUMNS)
    listed = ", ".join(sorted(present)) or "no columns"
    raise CorpusError(f"{place}: no text among its columns ({listed}). Needed: {wanted}.")


def _string(row: Mapping[str, Any], column: str, place: str) -> str:
    value = row[column]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CorpusError(
            f"{place}: column {column!r} is a {type(value).__name__}, not text. Save it as text."
        )
    return value


def read_jsonl(name: str, key: str, keep: Keep) -> Iterator[Source]:
    """Yields the rows of a file of JSON lines; blank lines are passed over.

    Raises:
        CorpusError: A line is not JSON, has no text, or is too long; names file and line.
    """
    with open(name, "rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            row_key = f"{key}:{number}"
            if len(line) == LONGEST_LINE:
                raise CorpusError(
                    f"{name}:{number}: a line of more than {LONGEST_LINE >> 20} MiB. Split the "
                    "row, or save its text as a .txt file."
                )
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if line.isspace() or not line or not keep(row_key):
                continue
            place = f"{name}:{number}"
            try:
                row = json.loads(line.decode("utf-8"))
            except UnicodeDecodeError:
                yield Source(place, row_key, None)
                continue
            except (ValueError, RecursionError) as error:
                raise CorpusError(
                    f"{place}: not JSON ({error}). Every line of a .jsonl file is one object, "
                    'such as {"text": "..."}.'
                ) from error
            yield source_of(row, place, row_key)


def read_parquet(name: str, key: str, keep: Keep) -> Iterator[Source]:
    """Yields the rows of a Parquet file, a few at a time.

    Raises:
        CorpusError: Not a Parquet file, or one without a column of text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Memory-mapping and pre-buffering would both keep read pages resident.
        file = pq.ParquetFile(name, pre_buffer=False, memory_map=False)
    except pa.ArrowInvalid as error:
        raise CorpusError(f"{name}: not a Parquet file ({error}).") from error
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


def read_dataset(name: str, key: str, keep: Keep) -> Iterator[Source]:
    """Yields the rows of a Hugging Face dataset saved to disk; of several splits ``train`` alone.

    Raises:
        CorpusError: The datasets library is missing, the dataset is damaged or has no ``train``
            split or no column of text.
    """
    try:
        import datasets
    except ImportError as error:
        raise CorpusError(
            f"{name}: reading a Hugging Face dataset needs the datasets library: "
            "pip install 'alive-rl[datasets]'."
        ) from error
    try:
        dataset = datasets.load_from_disk(name, keep_in_memory=False)
    except (ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{name}: a damaged dataset ({error}). Save it again.") from error
    if isinstance(dataset, datasets.DatasetDict):
        if "train" not in dataset:
            listed = ", ".join(dataset)
            raise CorpusError(
                f"{name}: no split named train among its splits ({listed}). Name the folder of "
                f"one split, such as {Path(name) / next(iter(dataset), 'SPLIT')}."
            )
        dataset = dataset["train"]
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
