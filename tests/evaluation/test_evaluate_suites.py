from __future__ import annotations

import gzip
import json
import lzma
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alive.errors import SuiteError
from alive.evaluation.rows import suite_name
from alive.evaluation.suites import Suite, SuiteItem, as_task, load_suite, texts
from alive.types import MASK
from alive.verify import matches
from alive.worlds.primer import primer


def write(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_a_file_is_read_item_by_item(tmp_path: Path) -> None:
    name = write(
        tmp_path / "mine.jsonl",
        {"question": "2+2?", "answer": "4"},
        {"question": "3+3?", "answer": 6, "id": "six", "domain": "sums", "extra": [1]},
    )
    assert load_suite(name) == Suite(
        "mine",
        (
            SuiteItem("mine/1", "2+2?", "4", "mine"),
            SuiteItem("mine/six", "3+3?", "6", "sums"),
        ),
    )


def test_blank_lines_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"question": "a", "answer": "b"}\n\n  \n')
    assert [item.id for item in load_suite(str(path)).items] == ["s/1"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{nope", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"question": "a"}', r"no 'answer' \(it has question\)"),
        ('{"answer": "a"}', "no 'question'"),
        ("{}", r"no 'question' \(it has nothing\)"),
        ('{"question": "a", "answer": " "}', "'answer' must be a text or a number"),
        ('{"question": "a", "answer": null}', "'answer' must be"),
        ('{"question": "a", "answer": true}', "'answer' must be"),
        ('{"question": ["a"], "answer": "b"}', "'question' must be"),
        ('{"question": "a", "answer": "b", "domain": 1.5, "id": null}', "'id' must be"),
        ('{"question": "\\ud800", "answer": "b"}', "half a character"),
        ('{"question": "a", "answer": "b", "id": "1"}', "id '1' was used in line 1"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"question": "q", "answer": "a"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(SuiteError, match=f"bad.jsonl:2: .*{said}"):
        load_suite(str(path))


def test_broken_bytes_are_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b'{"question": "q", "answer": "a"}\n{"question": "\xff"}\n')
    with pytest.raises(SuiteError, match=r"bad.jsonl:2: not UTF-8"):
        load_suite(str(path))


def test_an_empty_file_a_folder_and_a_missing_file_are_errors(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(SuiteError, match="empty"):
        load_suite(str(tmp_path / "empty.jsonl"))
    with pytest.raises(SuiteError, match="no such file"):
        load_suite(str(tmp_path))
    with pytest.raises(SuiteError, match="Did you mean 'seed-validation'"):
        load_suite("seed-validatoin")


def test_a_limit_takes_the_first_of_each_domain_in_turn(tmp_path: Path) -> None:
    name = write(
        tmp_path / "s.jsonl",
        *({"question": f"q{i}", "answer": "a", "domain": d} for i, d in enumerate("aaabbc")),
    )
    assert [item.question for item in load_suite(name, limit=4).items] == ["q0", "q3", "q5", "q1"]
    assert len(load_suite(name, limit=100).items) == 6


@pytest.fixture
def heldout(monkeypatch: pytest.MonkeyPatch) -> None:
    def items(split: str) -> Iterator[tuple[str, str, str]]:
        for index, domain in enumerate(("maths", "code", "logic", "maths")):
            yield f"{split} {index}", str(index), domain

    monkeypatch.setattr(primer, "heldout_items", items)


@pytest.mark.usefixtures("heldout")
def test_the_seed_suites_are_the_held_out_splits() -> None:
    everything = load_suite("seed")
    assert [(i.id, i.question, i.answer, i.domain) for i in everything.items] == [
        ("seed/0", "test 0", "0", "maths"),
        ("seed/1", "test 1", "1", "code"),
        ("seed/2", "test 2", "2", "logic"),
        ("seed/3", "test 3", "3", "maths"),
    ]
    maths = load_suite("seed:maths")
    assert maths.items == (everything.items[0], everything.items[3])
    assert load_suite("seed-validation:code").items[0].question == "validation 1"
    with pytest.raises(SuiteError, match="maths, code, logic"):
        load_suite("seed:poetry")


def test_the_real_held_out_answers_match_themselves() -> None:
    suite = load_suite("seed", limit=60)
    assert {item.domain for item in suite.items} == {"maths", "code", "logic"}
    assert all(matches(item.answer, as_task(item, asks=True).span) for item in suite.items)


def test_an_item_becomes_a_task_with_the_answer_hidden_at_its_end() -> None:
    task = as_task(SuiteItem("g/1", "How many?", "9*2=18\n#### 18", "g"), asks=False)
    assert (task.id, task.passage, task.span, task.domain) == (
        "g/1",
        f"How many? {MASK}",
        "18",
        "g",
    )


def test_who_can_ask_is_given_a_question_as_it_stands() -> None:
    assert as_task(SuiteItem("g/1", "How many?", "18", "g"), asks=True).passage == "How many?"


@pytest.mark.parametrize("asks", [True, False])
def test_an_item_that_holds_the_mask_is_a_passage(asks: bool) -> None:
    masked = as_task(SuiteItem("g/2", f"2+{MASK}=5", "3", "g"), asks)
    assert masked.passage == f"2+{MASK}=5"


def test_texts_are_the_questions_and_the_worked_solutions() -> None:
    items = (SuiteItem("g/1", "q1", "w\n#### 1", "g"), SuiteItem("g/2", "q2", "2", "g"))
    assert list(texts(Suite("g", items))) == ["q1", "w\n#### 1", "q2"]


def test_generated_suites_are_reproducible_and_right() -> None:
    pytest.importorskip("reasoning_gym")
    suite = load_suite("reasoning-gym:chain_sum", 40, 0)
    assert suite == load_suite("reasoning-gym:chain_sum", 40, 0)
    assert len({item.question for item in suite.items}) == 40
    for item in suite.items:
        terms = item.question.split(": ")[-1].removesuffix(" =")
        values = terms.replace("- ", "-").replace("+ ", "").split()
        assert matches(str(sum(map(int, values))), as_task(item, asks=True).span)
        assert item.domain == "chain_sum"


def test_neighbouring_seeds_of_a_generated_suite_share_nothing() -> None:
    pytest.importorskip("reasoning_gym")
    # A set with room: where a set has few questions, draws meet by chance.
    first, other = (load_suite("reasoning-gym:decimal_arithmetic", 40, seed) for seed in (0, 1))
    assert not {i.question for i in first.items} & {i.question for i in other.items}


def test_generated_suites_stay_away_from_the_seeds_of_training() -> None:
    from alive.evaluation.gym import BLOCK, EVALUATION_SEEDS, gym_items

    reasoning_gym = pytest.importorskip("reasoning_gym")
    assert EVALUATION_SEEDS[-1] < 2**32
    pairs, _ = gym_items("chain_sum", 3, 10_001)  # block 1 again
    there = reasoning_gym.create_dataset("chain_sum", seed=EVALUATION_SEEDS[BLOCK], size=3)
    assert pairs == [(item["question"], item["answer"]) for item in there]


def test_a_small_set_gives_each_question_once_and_says_what_its_scorer_may_take() -> None:
    pytest.importorskip("reasoning_gym")
    suite = load_suite("reasoning-gym:coin_flip", 30)
    assert len({item.question for item in suite.items}) == len(suite.items)
    assert load_suite("reasoning-gym:countdown", 2).note.startswith("countdown has a scorer")


def test_bad_sets_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("reasoning_gym")
    with pytest.raises(SuiteError, match="did you mean 'chain_sum'"):
        load_suite("reasoning-gym:chain_sun")
    with pytest.raises(SuiteError, match="at most 100,000 items"):
        load_suite("reasoning-gym:chain_sum", 100_001)
    with pytest.raises(SuiteError, match="cannot be given in a box"):
        load_suite("reasoning-gym:game_of_life", 2)
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(SuiteError, match="pip install reasoning-gym"):
        load_suite("reasoning-gym:chain_sum")


def test_the_rows_of_gsm8k_and_of_math_500(tmp_path: Path) -> None:
    (tmp_path / "gsm8k").mkdir()
    gsm8k = write(
        tmp_path / "gsm8k/test.jsonl",
        {"question": "How many eggs?", "answer": "16-3=<<16-3=13>>13\n#### 1,013"},
    )
    suite = load_suite(gsm8k)
    # A file named after its split takes its folder's name, or two suites would meet in one id.
    assert (suite.name, suite.items[0].id, suite.items[0].domain) == ("gsm8k", "gsm8k/1", "gsm8k")
    assert as_task(suite.items[0], asks=True).span == "1,013"
    hub = Path("/x/gsm8k/main/test-00000-of-00001.parquet")  # as the hub's client lays it down
    assert [suite_name(path) for path in (hub, Path("/test.json"))] == ["gsm8k", "test"]
    row = {
        "problem": "Convert $(0,3)$.",
        "solution": "So $\\boxed{(3,\\frac{\\pi}{2})}$.",
        "answer": "(3,\\frac{\\pi}{2})",
        "subject": "Precalculus",
        "level": 2,
        "unique_id": "test/precalculus/807.json",
    }
    math500 = write(tmp_path / "math500.jsonl", row)
    assert load_suite(math500).items == (
        SuiteItem(
            "math500/test/precalculus/807.json",
            "Convert $(0,3)$.",
            "(3,\\frac{\\pi}{2})",
            "Precalculus",
            "So $\\boxed{(3,\\frac{\\pi}{2})}$.",
        ),
    )
    # A corpus may hold neither the question nor the worked solution.
    assert list(texts(load_suite(math500))) == [row["problem"], row["solution"]]


@pytest.mark.parametrize(
    ("row", "question", "answer"),
    [
        ({"prompt": "q", "target": 3}, "q", "3"),
        ({"problem": "q", "solution": "so \\boxed{4}"}, "q", "4"),
        ({"problem": "p", "question": "q", "answer": "5", "target": "6"}, "q", "5"),
        ({"question": "q", "answer": "7", "metadata": {"seed": 1}}, "q", "7"),  # reasoning-gym
    ],
)
def test_columns_by_other_names(
    tmp_path: Path, row: dict[str, object], question: str, answer: str
) -> None:
    (item,) = load_suite(write(tmp_path / "s.jsonl", row)).items
    assert (item.question, as_task(item, asks=True).span) == (question, answer)


def test_a_part_is_a_domain_or_a_level(tmp_path: Path) -> None:
    rows = [
        {"problem": f"q{at}", "answer": "1", "subject": subject, "level": level}
        for at, (subject, level) in enumerate(
            [("Algebra", 1), ("Geometry", "Level 3"), ("Algebra", 5), ("Geometry", "Level ?")]
        )
    ]
    name = write(tmp_path / "math.jsonl", *rows)

    def asked(part: str) -> list[str]:
        return [item.id for item in load_suite(f"{name}:{part}").items]

    assert asked("Algebra") == ["math/1", "math/3"]
    assert asked("level<=3") == ["math/1", "math/2"]
    assert load_suite(f"{name}:level<=3").name == "math:level<=3"
    with pytest.raises(SuiteError, match=r"math.jsonl:Poetry': no such part.*Algebra, Geometry"):
        asked("Poetry")
    with pytest.raises(SuiteError, match="level<=N"):
        asked("level<=0")


ROWS = [{"question": "a", "answer": "1"}, {"question": "b", "answer": "2"}]


def test_the_same_rows_in_every_kind_of_file(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / "s.jsonl").write_text(lines)
    (tmp_path / "s.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "s.json.xz").write_bytes(lzma.compress(json.dumps(ROWS).encode()))
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "s.parquet")
    for name, text in {
        "s.json": json.dumps(ROWS, indent=1),
        "lines/s.json": lines,  # what `datasets` writes under this suffix
        "one/s.json": json.dumps({"version": 1, "data": ROWS}),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    expected = load_suite(str(tmp_path / "s.jsonl"))
    files = list(tmp_path.rglob("s.*"))
    assert len(files) == 7
    for file in files:
        assert load_suite(str(file)) == expected, file
    (tmp_path / "single.json").write_text(json.dumps(ROWS[0]))
    assert len(load_suite(str(tmp_path / "single.json")).items) == 1


def test_bad_files_of_other_kinds_are_named(tmp_path: Path) -> None:
    def said(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SuiteError, match=name) as error:
            load_suite(str(tmp_path / name))
        return str(error.value)

    assert "s.json, row 2: no 'answer' (it has q, question)" in said(
        "s.json", json.dumps([ROWS[0], {"question": "a", "q": 1}]).encode()
    )
    assert "A row needs question or problem or prompt" in said("t.json", b'[{"text": "a"}]')
    assert "no list of rows" in said("u.json", b"3")
    assert "u.json:1: not JSON" in said("u.json", b"{nope")
    assert "fetch it again" in said("s.parquet", b"PAR1 no")
    packed = gzip.compress(json.dumps(ROWS[0]).encode())
    assert "damaged or torn" in said("s.jsonl.gz", packed[:-9])
    assert "damaged or torn" in said("t.jsonl.gz", b"no gzip")
    assert "damaged or torn" in said("u.jsonl.gz", packed[:14] + b"\xff\xff" + packed[16:])
    with pytest.raises(SuiteError, match=r"but a folder\. Name a file in it, such as s\.json"):
        load_suite(str(tmp_path))
