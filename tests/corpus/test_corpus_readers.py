import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alive.config import CorpusConfig
from alive.corpus import open_corpus, rows, stream
from alive.corpus.readers import find_units
from alive.errors import CorpusError, UserError


@pytest.fixture(autouse=True)
def short_documents(monkeypatch):
    """Documents of a few words are long enough here."""
    monkeypatch.setattr(stream, "MIN_TOKENS", 1)


def read(*paths):
    """Returns (name, text, domain) of every source document; text is None for broken UTF-8."""
    units, _ = find_units(tuple(map(str, paths)))
    return [
        (source.name, None if source.blocks is None else "".join(source.blocks), source.domain)
        for unit in units
        for source in unit.read(lambda _: True)
    ]


def opened(*paths, **settings):
    config = CorpusConfig(paths=tuple(map(str, paths)), chunk_tokens=50, **settings)
    return open_corpus(config, lambda text: len(text.split()), [], 0)


def write_lines(path, *lines):
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) for line in lines))


def test_a_folder_is_read_in_order_with_its_kinds(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.txt").write_text("hidden")
    (tmp_path / "b.TXT").write_bytes("\ufeffbee\r\n".encode())
    (tmp_path / "a.md").write_text("ay")
    (tmp_path / "c.py").write_text("no")
    (tmp_path / "sub" / "d.jsonl").write_text('{"text": "dee", "domain": "maths"}\n\n')
    pq.write_table(pa.table({"text": ["eff"], "n": [1]}), tmp_path / "sub" / "f.parquet")
    at = str(tmp_path)
    assert read(tmp_path) == [
        (f"{at}/a.md", "ay", ""),
        (f"{at}/b.TXT", "bee\n", ""),
        (f"{at}/sub/d.jsonl:1", "dee", "maths"),
        (f"{at}/sub/f.parquet:1", "eff", ""),
    ]
    units, ignored = find_units((at, f"{at}/a.md"))
    assert len(units) == 4 and ignored == 1
    assert units[0].key == f"{tmp_path.name}/a.md"


def test_files_of_one_name_have_keys_of_their_own(tmp_path):
    paths = []
    for folder in ("x/data", "y/data"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.txt").write_text(folder)
        paths.append(str(tmp_path / folder))
    assert [unit.key for unit in find_units(tuple(paths))[0]] == ["data/a.txt", "data/a.txt'"]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"text": "t", "question": "q", "answer": "a"}, "t"),
        ({"question": "q", "answer": "a", "id": 3}, "q\n\na"),
        ({"problem": "p", "solution": "s"}, "p\n\ns"),
        ({"prompt": "p", "completion": "c"}, "p\n\nc"),
        ({"text": None}, ""),
    ],
)
def test_columns_that_make_a_text(tmp_path, row, text):
    write_lines(tmp_path / "a.jsonl", row)
    assert read(tmp_path)[0][1] == text
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0][1] == text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "x"', "a.jsonl:2: not JSON"),
        ("[" * 200_000, "a.jsonl:2: not JSON"),
        ("[1]", "a.jsonl:2: a list where an object"),
        ('{"body": "x", "answer": "y"}', r"a.jsonl:2: no text among its columns \(answer, body\)"),
        ('{"text": ["x"]}', "a.jsonl:2: column 'text' is a list, not text"),
        ('{"text": "x", "domain": 3}', "a.jsonl:2: column 'domain' is a int"),
    ],
)
def test_a_bad_jsonl_line_is_named_when_the_corpus_is_opened(tmp_path, line, message):
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\n' + line + "\n")
    with pytest.raises(CorpusError, match=message) as caught:
        opened(tmp_path)
    assert caught.value.exit_code == 2 and isinstance(caught.value, UserError)


def test_a_jsonl_line_longer_than_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "LONGEST_LINE", 1 << 20)
    write_lines(tmp_path / "a.jsonl", {"text": "x" * (1 << 20)})
    with pytest.raises(CorpusError, match=r"a.jsonl:1: a line of more than 1 MiB"):
        opened(tmp_path)


def test_broken_utf8_rows_are_skipped_and_named(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(
        b'{"text": "one"}\n{"text": "tw\xff"}\n{"text": "th\\ud800"}\n{"text": "four"}'
    )
    corpus = opened(tmp_path, validation_share=0)
    documents = corpus.documents("train")
    assert {next(documents).text for _ in range(2)} == {"one", "four"}
    report = corpus.report
    assert (report.broken_utf8, report.train) == (2, 2)
    assert sorted(report.examples["broken_utf8"]) == [f"{tmp_path}/a.jsonl:{n}" for n in (2, 3)]


def test_broken_utf8_cells_are_skipped(tmp_path):
    raw = pa.array([b"one", b"tw\xff"], pa.binary())
    cells = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    pq.write_table(pa.table({"text": cells}), tmp_path / "a.parquet")
    assert [text for _, text, _ in read(tmp_path)] == ["one", None]


def test_binary_and_broken_files_are_skipped_and_named(tmp_path):
    (tmp_path / "bin.txt").write_bytes(b"x" * 500 + b"\0" * 60)
    (tmp_path / "bin.jsonl").write_bytes(b"\0\1")
    (tmp_path / "cut.md").write_bytes("caf\u00e9".encode()[:-1])
    (tmp_path / "ok.txt").write_text("good words")
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    corpus = opened(tmp_path)
    assert next(corpus.documents("train")).text == "good words"
    report = corpus.report.as_dict()
    assert report["files"] == 1 and report["ignored_files"] == 1
    assert report["skipped_binary"] == 2 and report["broken_utf8"] == 1
    assert report["examples"] == {
        "skipped_binary": [f"{tmp_path}/bin.jsonl", f"{tmp_path}/bin.txt"],
        "broken_utf8": [f"{tmp_path}/cut.md"],
    }


def test_a_corpus_of_nothing_readable_is_an_error_that_says_why(tmp_path):
    (tmp_path / "bin.txt").write_bytes(b"\0")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(CorpusError, match=r"1 binary \(.*bin.txt\); 1 empty \(.*empty.txt\)"):
        opened(tmp_path)


def test_missing_empty_and_unknown_paths(tmp_path):
    with pytest.raises(CorpusError, match=r"no such file or folder: .*nowhere"):
        opened(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match="an empty corpus"):
        opened(tmp_path)
    (tmp_path / "a.pdf").write_text("x")
    with pytest.raises(CorpusError, match=r"a.pdf: cannot read this kind of file. Known are .txt"):
        opened(tmp_path / "a.pdf")
    with pytest.raises(CorpusError, match=r"no corpus named builtin:primmer. There are"):
        opened("builtin:primmer")


def test_unreadable_files_are_named(tmp_path):
    os.symlink(tmp_path / "gone.txt", tmp_path / "link.txt")
    with pytest.raises(CorpusError, match=r"cannot read .*link.txt.*Check that it exists"):
        opened(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_files_without_permission_are_named(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "a.txt").chmod(0)
    with pytest.raises(CorpusError, match=r"cannot read .*a.txt.*permissions"):
        opened(tmp_path)


def test_a_file_that_breaks_after_the_check_is_named(tmp_path):
    (tmp_path / "a.txt").write_text("fine at first")
    corpus = opened(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"not any more \xff")
    with pytest.raises(CorpusError, match=r"cannot read .*a.txt.*writes to it"):
        next(corpus.documents("train"))


def test_parquet_errors(tmp_path):
    (tmp_path / "a.parquet").write_text("no table")
    with pytest.raises(CorpusError, match=r"a.parquet: not a Parquet file"):
        opened(tmp_path)
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match=r"a.parquet: no text among its columns \(body\)"):
        opened(tmp_path)
    pq.write_table(pa.table({"text": [1]}), tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match=r"a.parquet:1: column 'text' is a int"):
        opened(tmp_path)


def test_parquet_rows_cross_batches_and_row_groups(tmp_path):
    texts = [f"row {index}" for index in range(1, 301)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", row_group_size=70)
    found = read(tmp_path)
    assert [text for _, text, _ in found] == texts
    assert found[-1][0].endswith("a.parquet:300")


def test_datasets_saved_to_disk(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows_ = {"question": ["q1", "q2"], "answer": ["a1", "a2"], "domain": ["d", None]}
    dataset = datasets.Dataset.from_dict(rows_)
    dataset.save_to_disk(str(tmp_path / "in" / "one"))
    splits = datasets.DatasetDict({"test": dataset, "train": dataset.select([1])})
    splits.save_to_disk(str(tmp_path / "two"))
    at = f"{tmp_path}/in/one"
    expected = [(f"{at} row 1", "q1\n\na1", "d"), (f"{at} row 2", "q2\n\na2", "")]
    assert read(tmp_path / "in" / "one") == expected
    assert read(tmp_path / "in") == expected
    assert read(tmp_path / "two") == [(f"{tmp_path}/two row 1", "q2\n\na2", "")]
    assert read(tmp_path / "two" / "test")[0][1] == "q1\n\na1"
    datasets.DatasetDict({"test": dataset}).save_to_disk(str(tmp_path / "three"))
    with pytest.raises(CorpusError, match=r"no split named train among its splits \(test\)"):
        read(tmp_path / "three")


def test_a_damaged_dataset_is_named(tmp_path):
    (tmp_path / "state.json").write_text("{")
    (tmp_path / "dataset_info.json").write_text("{}")
    with pytest.raises(CorpusError, match="damaged dataset"):
        read(tmp_path)
