"""Case 19: corpora as people have them, each read, repaired, or passed over by name."""

import builtins
import bz2
import gzip
import json
import lzma
import random
import sys
from itertools import islice
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alive.config import CorpusConfig
from alive.corpus import open_corpus, rows, stream, tables
from alive.corpus.columns import source_of
from alive.corpus.readers import find_units
from alive.corpus.survey import survey
from alive.errors import CorpusError


@pytest.fixture(autouse=True)
def short_documents(monkeypatch):
    """Documents of a few words are long enough here."""
    monkeypatch.setattr(stream, "MIN_TOKENS", 1)
    tables.fetch.cache_clear()


def words(text):
    return len(text.split())


def opened(*paths, **settings):
    config = CorpusConfig(paths=tuple(map(str, paths)), chunk_tokens=50, **settings)
    return open_corpus(config, words, [], 0)


def texts(*paths):
    """Returns the text of every source document; None where there is none to read."""
    units, _ = find_units(tuple(map(str, paths)))
    sources = [source for unit in units for source in unit.read(lambda _: True)]
    return [None if s.blocks is None else "".join(s.blocks) for s in sources]


def epoch(corpus):
    """Returns the texts of one epoch of the train split."""
    documents = corpus.documents("train")
    found = [next(documents).text]
    while corpus._epoch_length is None:
        found.append(next(documents).text)
    return sorted(found[: corpus._epoch_length])


def zstd(data):
    return pa.Codec("zstd").compress(data, asbytes=True)


PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd}
ROWS = [{"text": "first row"}, {"text": "second row", "domain": "d"}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize(
    ("suffix", "data", "found"),
    [
        ("jsonl", LINES, ["first row", "second row"]),
        ("ndjson", LINES, ["first row", "second row"]),
        ("json", json.dumps(ROWS), ["first row", "second row"]),
        ("txt", "\ufeffone\r\ntwo", ["one\ntwo"]),
        ("MD", "# Title", ["# Title"]),
    ],
)
def test_case_19_packed_files(tmp_path, packer, suffix, data, found):
    path = tmp_path / f"a.b.{suffix}.{packer}"
    path.write_bytes(PACKERS[packer](data.encode()))
    assert texts(path) == texts(tmp_path) == found
    # Files that were packed in pieces are one after the other.
    path.write_bytes(PACKERS[packer](data.encode()) * 2)
    assert len("".join(texts(path))) >= 2 * len("".join(found)) - 1
    assert survey([str(path)], words).lengths


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("suffix", ["jsonl", "json", "txt"])
def test_case_19_a_torn_packed_file_is_named_and_skipped(tmp_path, packer, suffix):
    rng = random.Random(0)
    many = "".join(json.dumps({"text": f"row {rng.random()}"}) + "\n" for n in range(3000))
    whole = PACKERS[packer](many.encode())
    (tmp_path / f"a.{suffix}.{packer}").write_bytes(whole[: len(whole) // 2])
    (tmp_path / f"b.{suffix}.{packer}").write_bytes(b"not packed at all")
    (tmp_path / "good.txt").write_text("good words")
    corpus = opened(tmp_path)
    assert epoch(corpus) == ["good words"]
    assert corpus.report.unreadable == 2 and corpus.report.files == 1
    assert all("damaged or torn" in name for name in corpus.report.examples["unreadable"])
    survey([str(tmp_path)], words)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (json.dumps(ROWS), ["first row", "second row"]),
        (json.dumps(ROWS, indent=2), ["first row", "second row"]),
        (json.dumps(ROWS[0]), ["first row"]),
        (json.dumps(ROWS[0], indent=1), ["first row"]),
        (LINES, ["first row", "second row"]),
        (
            "".join(json.dumps(row, indent=1) for row in ROWS),
            ["first row", "second row"],
        ),
        (json.dumps({"version": 1, "data": ROWS, "tags": ["a"]}), ["first row", "second row"]),
        ("\ufeff[]", []),
        ("", []),
        ('["a text", "another"]', ["a text", "another"]),
    ],
)
def test_case_19_json_files_as_people_write_them(tmp_path, written, found):
    (tmp_path / "a.json").write_text(written)
    assert texts(tmp_path / "a.json") == found


@given(
    st.lists(st.fixed_dictionaries({"text": st.text(), "n": st.integers() | st.none()})),
    st.sampled_from([None, 0, 3]),
    st.integers(1, 40),
)
def test_case_19_an_array_is_read_alike_in_any_blocks(tmp_path_factory, rows_, indent, block):
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text(json.dumps(rows_, indent=indent, ensure_ascii=False), "utf-8", "surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "BLOCK", block)
        assert texts(path) == [row["text"] for row in rows_]


def test_case_19_a_large_array_is_not_held_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK", 100)
    monkeypatch.setattr(rows, "LONGEST_LINE", 1000)
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"text": f"row {n}"} for n in range(1000)], indent=1))
    assert texts(path) == [f"row {n}" for n in range(1000)]
    path.write_text(json.dumps([{"text": "x" * 5000}], indent=1))
    assert texts(path) == [None]


USER, MODEL = {"role": "user", "content": "What is 2 + 3?"}, {"role": "assistant", "content": "5."}


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"messages": [USER, MODEL]}, "What is 2 + 3?\n\n5."),
        ({"messages": [{"role": "system", "content": "Be good."}, USER, MODEL], "prompt": "x"},
         "What is 2 + 3?\n\n5."),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"},
          {"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "b"}]}]},
         "a\n\nb"),
        ({"messages": [USER, {"role": "assistant", "content": None, "tool_calls": []}, MODEL]},
         "What is 2 + 3?\n\n5."),
        ({"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "q"},
          {"from": "gpt", "value": "a"}]}, "q\n\na"),
        ({"prompt": [USER], "completion": [MODEL]}, "What is 2 + 3?\n\n5."),
        ({"instruction": "Add.", "input": "2, 3", "output": "5"}, "Add.\n\n2, 3\n\n5"),
        ({"instruction": "Add.", "input": "", "output": "5"}, "Add.\n\n5"),
        ({"instruction": "Say hello.", "output": "Hello."}, "Say hello.\n\nHello."),
        ({"instruction": "i", "context": "c", "response": "r", "category": "x"}, "i\n\nc\n\nr"),
        ({"input": "i", "output": "o"}, "i\n\no"),
        ({"system_prompt": "s", "question": "q", "response": "r"}, "q\n\nr"),
        ({"prompt": "p", "response": "r"}, "p\n\nr"),
        ({"content": "c", "path": "a.py"}, "c"),
        ({"content": "c", "text": "t"}, "t"),
    ],
)  # fmt: skip
def test_case_19_rows_of_chats_instructions_and_content(tmp_path, row, text):
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "b.parquet")
    assert texts(tmp_path / "a.jsonl") == texts(tmp_path / "b.parquet") == [text]


@pytest.mark.parametrize(
    "messages", [[], [3], ["hello"], [{"role": "user"}], [USER, {"content": "x"}], {"role": "x"}, 5]
)
def test_case_19_what_is_no_list_of_messages_is_told(messages):
    source = source_of({"messages": messages}, "a.jsonl:7", "k")
    assert source.blocks is None
    assert source.flaw.startswith("a.jsonl:7: column 'messages' is a ")


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("odd.jsonl", '{"text": "fine"}\n{"text": "to', "odd.jsonl:2: not JSON"),
        ("odd.jsonl", "just words\n", "odd.jsonl:1: not JSON"),
        ("odd.jsonl", '{"id": 1}\n{"id": 2}\n', r"odd.jsonl:1: no text among its columns (id)"),
        ("odd.jsonl", '{"text": 3}', "odd.jsonl:1: column 'text' is a int"),
        ("odd.json", '{"name": "tool", "version": "1"}', "no text among its columns"),
        ("odd.json", '[{"text": "fine"}, {"text": "to', "odd.json row 2: not JSON"),
        ("odd.json", '[{"text": "fine"}, ', "odd.json row 2: not JSON (the array has no end)"),
        ("odd.json", "[" * 100_000, "not JSON"),
        ("odd.parquet", "no table", "odd.parquet: not a Parquet file"),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_case_19_an_odd_file_beside_good_text_is_named_and_skipped(
    tmp_path, name, data, why, named
):
    (tmp_path / name).write_text(data)
    (tmp_path / "good.txt").write_text("good words")
    corpus = opened(tmp_path / name, tmp_path / "good.txt") if named else opened(tmp_path)
    assert epoch(corpus) == ["good words"]
    report = corpus.report
    assert (report.files, report.unreadable, report.train) == (1, 1, 1)
    [said] = report.examples["unreadable"]
    assert why in said and said.startswith(str(tmp_path / name))
    assert "1 not readable (" in report.losses() and why in report.losses()
    # Alone it is an error that says the same.
    with pytest.raises(CorpusError) as caught:
        opened(tmp_path / name)
    assert why in str(caught.value)


def test_case_19_a_torn_row_among_many_costs_that_row(tmp_path):
    lines = [json.dumps({"text": f"row {n}"}) for n in range(200)]
    lines[70] = lines[70][:-3]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    corpus = opened(tmp_path, validation_share=0)
    assert len(epoch(corpus)) == 199
    assert corpus.report.files == 1 and corpus.report.unreadable == 1
    assert f"{tmp_path}/a.jsonl:71: not JSON" in corpus.report.examples["unreadable"][0]


def test_case_19_a_line_that_is_too_long_costs_itself_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "LONGEST_LINE", 1 << 10)
    lines = [json.dumps({"text": f"row {n}"}) for n in range(200)]
    lines[70] = json.dumps({"text": "x" * 5000})
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    found = texts(tmp_path)
    assert found[70] is None and found[69::2][:2] == ["row 69", "row 71"] and len(found) == 200


def test_case_19_a_nul_byte_drops_the_byte_not_the_book(tmp_path):
    (tmp_path / "book.txt").write_bytes(b"Call me Ish\0mael, said he.\0 He was right.")
    (tmp_path / "rows.jsonl").write_bytes(b'{"text": "a r\0ow"}\n\0\0{"text": "b\\u0000 row"}\n')
    (tmp_path / "rows.json").write_bytes(b'[\n{"text": "c r\0ow"},\0\n {"text": "d row"}]')
    corpus = opened(tmp_path, validation_share=0)
    assert epoch(corpus) == ["Call me Ishmael, said he. He was right."] + [
        f"{name} row" for name in "abcd"
    ]
    report = corpus.report
    assert report.skipped_binary == report.unreadable == 0 and report.repaired == 1
    assert report.examples["repaired"] == [f"{tmp_path}/book.txt: 2 bytes"]


def test_case_19_a_stray_byte_drops_the_byte_not_the_book(tmp_path):
    book = "Le café est fermé. " * 200
    (tmp_path / "book.txt").write_bytes(book.encode() + b"\xe9 end \xc3")
    (tmp_path / "latin.txt").write_bytes(book.encode("latin-1"))
    (tmp_path / "utf16.txt").write_bytes("Plain words. ".encode("utf-16"))
    corpus = opened(tmp_path, validation_share=0)
    found = epoch(corpus)
    assert any(text.endswith("end") for text in found) and "\ufffd" not in "".join(found)
    report = corpus.report
    assert (report.files, report.repaired, report.broken_utf8, report.skipped_binary) == (
        1,
        1,
        1,
        1,
    )
    assert report.examples["broken_utf8"] == [f"{tmp_path}/latin.txt"]


class Hub(ModuleType):
    """Stands in for the datasets library's loading."""

    def __init__(self, answer):
        super().__init__("datasets")
        self.answer, self.asked = answer, []
        self.exceptions = pytest.importorskip("datasets").exceptions

    def load_dataset(self, *arguments, **options):
        self.asked.append((arguments, options))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_case_19_a_hub_id_is_fetched_through_datasets(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    hub = Hub(datasets.Dataset.from_dict({"question": ["q1", "q2"], "answer": ["a1", "a2"]}))
    monkeypatch.setitem(sys.modules, "datasets", hub)
    assert texts("openai/gsm8k:main") == ["q1\n\na1", "q2\n\na2"]
    assert texts("openai/gsm8k:main") == ["q1\n\na1", "q2\n\na2"]
    assert hub.asked == [(("openai/gsm8k", "main"), {"split": "train"})]  # once a process
    corpus = opened("openai/gsm8k", validation_share=0)
    assert epoch(corpus) == ["q1\n\na1", "q2\n\na2"]
    assert hub.asked[1:] == [(("openai/gsm8k", None), {"split": "train"})]
    assert survey(["openai/gsm8k"], words).lengths == (2, 2)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("DatasetNotFoundError", "no such file or folder: some/notes, and no dataset of this"),
        ("ConnectionError", r"Hub cannot be asked .*network; or, .*hf download .* some/notes"),
        (
            "ValueError",
            r"some/notes: the dataset cannot be read \(Config name .* some/notes:CONFIG",
        ),
        ("DatasetGenerationError", "some/notes: the dataset cannot be read"),
    ],
)
def test_case_19_what_the_hub_refuses_is_a_sentence(tmp_path, monkeypatch, kind, said):
    datasets = pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    error = getattr(datasets.exceptions, kind, None) or getattr(builtins, kind)
    monkeypatch.setitem(sys.modules, "datasets", Hub(error("Config name is\nmissing")))
    with pytest.raises(CorpusError, match=said):
        opened("some/notes")


def test_case_19_without_the_library_or_the_network_a_hub_id_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "datasets", None)
        with pytest.raises(CorpusError, match=r"some/notes: no such file.*pip install"):
            opened("some/notes")
    pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CorpusError, match="Hub cannot be asked"):
        opened("some/notes")


@pytest.mark.parametrize("path", ["notes/2024", "a/b/c", "/a/b", "notes/a.txt", "nowhere", "./a/b"])
def test_case_19_a_mistyped_path_does_not_ask_the_hub(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(CorpusError, match=r"no such file or folder: \S+\. Check corpus.paths"):
        opened(path)


def test_forty_short_notes_last(tmp_path):
    for n in range(40):
        (tmp_path / f"{n}.txt").write_text(f"Note {n}: a box of {n + 3} pens costs {n} euros.\n")
    corpus = opened(tmp_path, validation_share=0.1)
    held_out = [document.id for document in corpus.documents("validation")]
    seen = [document.id for document in islice(corpus.documents("train"), 400)]
    size = 40 - len(held_out)
    assert 1 <= len(held_out) <= 10 and len(set(seen)) == size and not set(seen) & set(held_out)
    for at in range(0, 400 - size, size):
        assert len(set(seen[at : at + size])) == size
    assert list(islice(corpus.documents("train", 300), 9)) == list(
        islice(opened(tmp_path, validation_share=0.1).documents("train", 300), 9)
    )


LAYOUTS = {
    # SynthLabsAI/Big-Math-RL-Verified: a problem has several domains, or none.
    "big-math": (
        pa.schema(
            [
                ("problem", pa.string()),
                ("answer", pa.string()),
                ("source", pa.string()),
                ("domain", pa.list_(pa.string())),
                ("llama8b_solve_rate", pa.float64()),
            ]
        ),
        [
            ("What are the odds?", r"\frac{1}{2}", "omnimath", ["Algebra", "Logic"], 0.25),
            ("How many are there?", "12", "cn_k12", [], None),
            ("What is left?", "x+1", "math", None, 0.5),
        ],
        ["Algebra", "", ""],
    ),
    # TIGER-Lab/WebInstruct-verified.
    "webinstruct-verified": (
        pa.schema(
            [
                ("id", pa.int64()),
                ("question", pa.string()),
                ("answer", pa.string()),
                ("answer_type", pa.string()),
                ("category", pa.string()),
                ("difficulty", pa.string()),
            ]
        ),
        [(7, "How fast is it?", "3 m/s", "Float", "Physics", "University")],
        [""],
    ),
    # TIGER-Lab/WebInstructSub: the question and answer as found stand beside those rewritten.
    "webinstruct-sub": (
        pa.schema(
            [
                ("orig_question", pa.string()),
                ("orig_answer", pa.string()),
                ("source", pa.string()),
                ("question", pa.string()),
                ("answer", pa.string()),
                ("index", pa.int64()),
            ]
        ),
        [("how fast??", "3", "socratic", "How fast is it?", "It covers 3 m.\n\nSo 3 m/s.", 7)],
        [""],
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["parquet", "dataset"])
def test_the_papers_corpora_are_read_as_their_files_are(tmp_path, layout, kind):
    """Parquet files as the hub serves them, and as the datasets library saves them."""
    schema, found, domains = LAYOUTS[layout]
    table = pa.Table.from_pylist([dict(zip(schema.names, r, strict=True)) for r in found], schema)
    if kind == "parquet":
        (tmp_path / "data").mkdir()
        pq.write_table(table, tmp_path / "data" / "train-00000-of-00001.parquet")
    else:
        datasets = pytest.importorskip("datasets")
        datasets.Dataset(table).save_to_disk(str(tmp_path / "saved"))
    units, _ = find_units((str(tmp_path),))
    sources = [source for unit in units for source in unit.read(lambda _: True)]
    asks = schema.names.index("problem" if "problem" in schema.names else "question")
    says = schema.names.index("answer")
    assert [source.flaw for source in sources] == [""] * len(found)
    assert ["".join(s.blocks) for s in sources] == [f"{r[asks]}\n\n{r[says]}" for r in found]
    assert [source.asked for source in sources] == [row[asks] for row in found]
    assert [source.domain for source in sources] == domains
