import json
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from alive.config import CorpusConfig
from alive.corpus import open_corpus, stream
from alive.corpus.dedupe import text_key
from alive.errors import CorpusError

SOURCE = Path(stream.__file__).parents[2]


def words(text):
    return len(text.split())


def opened(*paths, suites=(), seed=0, **settings):
    settings = {"chunk_tokens": 12, "validation_share": 0.2} | settings
    config = CorpusConfig(paths=tuple(map(str, paths)), **settings)
    return open_corpus(config, words, suites, seed)


@pytest.fixture(autouse=True)
def short_documents(monkeypatch):
    """Documents of a few words are long enough here."""
    monkeypatch.setattr(stream, "MIN_TOKENS", 3)


@pytest.fixture
def folder(tmp_path):
    """Forty files of three chunks each, and 60 rows of one."""
    for file in range(40):
        paragraphs = [f"file {file} part {part} says some words here." for part in range(3)]
        (tmp_path / f"{file}.txt").write_text("\n\n".join(paragraphs))
    rows = [json.dumps({"text": f"row {row} of the table"}) for row in range(60)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    return tmp_path


def epoch_of(corpus):
    """Returns one epoch of the train split."""
    next(islice(corpus.documents("train"), 500, 501))
    return list(islice(corpus.documents("train"), corpus.report.train))


def test_splits_share_no_source_and_lose_nothing(folder):
    corpus = opened(folder)
    train, held_out = epoch_of(corpus), list(corpus.documents("validation"))
    assert len(train) + len(held_out) == 40 * 3 + 60
    assert 15 < len(held_out) < 60
    assert not {d.source for d in train} & {d.source for d in held_out}
    assert len({d.id for d in train + held_out}) == 180
    report = corpus.report
    assert (report.train, report.validation) == (len(train), len(held_out))


def test_the_same_seed_gives_the_same_stream_and_others_another_order(folder):
    first, again, other = (
        list(islice(opened(folder, seed=seed).documents("train"), 300)) for seed in (1, 1, 2)
    )
    assert first == again != other
    held_out = [list(opened(folder, seed=seed).documents("validation")) for seed in (1, 2)]
    assert held_out[0] == held_out[1] != []


@pytest.mark.parametrize("buffer", [1, 7, 2048])
@pytest.mark.parametrize("start", [0, 1, 100, 143, 500, 1000])
def test_start_is_the_same_stream_without_its_head(folder, monkeypatch, start, buffer):
    monkeypatch.setattr(stream, "SHUFFLE", buffer)
    whole = list(islice(opened(folder).documents("train"), start + 200))
    fresh = opened(folder)
    assert list(islice(fresh.documents("train", start), 200)) == whole[start:]
    # Now the length of an epoch is known, and whole epochs are passed over unread.
    assert list(islice(fresh.documents("train", start), 200)) == whole[start:]
    held_out = list(fresh.documents("validation"))
    assert list(fresh.documents("validation", 5)) == held_out[5:]


def test_each_epoch_holds_every_document_once_in_an_order_of_its_own(folder, monkeypatch):
    monkeypatch.setattr(stream, "SHUFFLE", 5)
    corpus = opened(folder)
    size = len(epoch_of(corpus))
    epochs = [list(islice(corpus.documents("train", size * n), size)) for n in range(3)]
    assert Counter(epochs[0]) == Counter(epochs[1]) == Counter(epochs[2])
    assert epochs[0] != epochs[1] != epochs[2]
    assert max(Counter(epochs[0]).values()) == 1


def test_a_large_file_does_not_hide_small_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "SHUFFLE", 10)
    rows = "\n".join(json.dumps({"text": f"row {row} of many"}) for row in range(3000))
    (tmp_path / "a.jsonl").write_text(rows)
    for name in "bcd":
        (tmp_path / f"{name}.txt").write_text("\n\n".join(f"{name} {n} x y" * 2 for n in range(50)))
    first = list(islice(opened(tmp_path, validation_share=0).documents("train"), 60))
    assert len({document.source.split(":")[0] for document in first}) == 4


def test_duplicates_are_dropped_across_files_and_splits(tmp_path):
    rows = [json.dumps({"text": f"Row {row % 50}  of THE table"}) for row in range(100)]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    (tmp_path / "b.jsonl").write_text("\n".join(rows).lower())
    corpus = opened(tmp_path, validation_share=0.5)
    train, held_out = epoch_of(corpus), list(corpus.documents("validation"))
    keys = [text_key(document.text) for document in train + held_out]
    assert len(keys) == len(set(keys)) == 50
    assert corpus.report.duplicates == 150


def test_leaks_are_dropped_and_counted(folder):
    corpus = opened(folder, suites=["ROW 7, of the table!", "says some words here file"])
    train = epoch_of(corpus) + list(corpus.documents("validation"))
    assert "row 7 of the table" not in {document.text for document in train}
    assert corpus.report.contaminated == 1
    assert corpus.report.examples["contaminated"] == [f"{folder}/rows.jsonl:8"]
    with pytest.raises(CorpusError, match=r"1 shared with a suite \(.*x.txt\)"):
        (folder / "x.txt").write_text("the quick brown fox jumps")
        opened(folder / "x.txt", suites=["The quick brown fox jumps"])


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_any_text_at_all_can_be_trained_on(tmp_path, share):
    # The twins share their text: whichever split has the one, train must keep a copy.
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text("the same few words")
    (tmp_path / "0.txt").write_text("short")
    corpus = opened(tmp_path, validation_share=share)
    assert [d.text for d in islice(corpus.documents("train"), 3)] == ["the same few words"] * 3
    assert list(corpus.documents("validation")) == []


def test_too_short_is_counted_and_named_when_nothing_is_left(tmp_path):
    (tmp_path / "a.txt").write_text("two words")
    with pytest.raises(CorpusError, match=r"1 too short \(.*a.txt\)\. Give more text; a document"):
        opened(tmp_path)


def test_a_corpus_that_empties_during_the_run_stops_it(tmp_path):
    (tmp_path / "a.txt").write_text("some words to read")
    corpus = opened(tmp_path)
    documents = corpus.documents("train")
    next(documents)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(CorpusError, match=r"no document in .*1 empty"):
        next(documents)


def test_nothing_heavy_is_imported():
    code = (
        "import sys, alive.corpus; "
        "print([m for m in ('torch','pyarrow','datasets','numpy','pandas') if m in sys.modules])"
    )
    environment = {"PYTHONPATH": str(SOURCE)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert run.stdout.strip() == b"[]"


PEAK = """
import resource, sys
from alive.config import CorpusConfig
from alive.corpus import open_corpus
config = CorpusConfig(paths=(sys.argv[1],), validation_share=0.02)
corpus = open_corpus(config, lambda text: len(text) // 4 + 1, ["a suite text of five words"], 0)
documents = corpus.documents("train")
while corpus._epoch_length is None:
    next(documents)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, corpus._epoch_length)
"""


def write_large(path, megabytes):
    """Writes text that repeats nowhere: a table of rows, or one text file on a single line."""
    prose = "each of these words stands here again and again and says nothing new at all " * 12
    with path.open("w") as file:
        for number in range(megabytes * 1000):
            line = f"{number} {prose}{number:x}"
            file.write(json.dumps({"text": line}) + "\n" if path.suffix == ".jsonl" else line + " ")


def peak_of(path):
    command = [sys.executable, "-c", PEAK, str(path)]
    run = subprocess.run(command, env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    peak, documents = map(int, run.stdout.split())
    return peak, documents


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".txt", ".jsonl"])
def test_memory_is_flat(tmp_path, suffix):
    sizes = {}
    for megabytes in (10, 150):
        path = tmp_path / f"{megabytes}{suffix}"
        write_large(path, megabytes)
        sizes[megabytes] = peak_of(path)
        path.unlink()
    assert sizes[150][1] > 12 * sizes[10][1]
    assert sizes[150][0] - sizes[10][0] < 30, sizes
