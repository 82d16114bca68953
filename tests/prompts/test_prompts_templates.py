"""Prompt sets: what ships loads, and a user's folder is checked by name, line and placeholder."""

from __future__ import annotations

import pytest

from alive.errors import ConfigError
from alive.prompts.segments import Slot
from alive.prompts.templates import OPTIONAL, PLACEHOLDERS, load_templates


@pytest.mark.parametrize("version", ["chat-6", "plain-2", "seed-1"])
def test_shipped_sets_load(version):
    name = version.partition("-")[0]
    templates = load_templates(name)
    assert set(PLACEHOLDERS) - set(templates.templates) == (
        set(OPTIONAL) if name == "seed" else set()
    )
    assert templates.version == version
    # The relabelled words must be the very words that spans are sampled under.
    words = templates.words
    assert words.pose_positive in (words.challenging, words.very_hard)
    assert words.solve_positive == words.generic_right_summary


def test_seed_solve_segments():
    seed = load_templates("seed")
    tail = ["<|text|>", Slot("passage"), "<|solve|>"]
    assert seed.segments("solve", conditioned=False) == tail
    assert seed.segments("solve", conditioned=True) == ["<EF>", Slot("words"), "</EF>", *tail]


def test_a_user_file_replaces_the_shipped_one(tmp_path):
    (tmp_path / "solve.txt").write_text("${condition}Costs $$5, $blank in {braces}: $passage\n")
    chat = load_templates("chat", tmp_path)
    assert chat.templates["solve"] == (
        Slot("condition"),
        "Costs $5, ____ in {braces}: ",
        Slot("passage"),
    )
    shipped = load_templates("chat")
    assert chat.templates["pose"] == shipped.templates["pose"]
    assert chat.digest != shipped.digest and load_templates("chat").digest == shipped.digest


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "solv.txt",
            "x",
            r"solv\.txt: not a file of the prompt set 'chat', .*; did you mean 'solve\.txt'",
        ),
        (
            "solve.txt",
            "a\n$condition $pasage",
            r"solve\.txt:2: unknown placeholder \$pasage; did you",
        ),
        ("solve.txt", "$condition only", r"solve\.txt: the placeholder \$passage is missing"),
        ("pose.txt", "$condition$document cost 5$", r"pose\.txt:1: a lone \$"),
        ("review.txt", "$passage $attempt $span", r"unknown placeholder \$span"),
        ("review.txt", "$passage", r"review\.txt: the placeholder \$attempt is missing"),
        ("revise.txt", "$passage $attempt", r"revise\.txt: the placeholder \$review is missing"),
        ("words.toml", "version =", r"words\.toml: not TOML"),
        ("words.toml", "version = 'x'\nstile = 'raw'", "unknown key 'stile'; did you mean 'style'"),
        ("words.toml", "version = 'x'", "the key 'style' is missing"),
        (
            "solve.txt",
            "$condition\n$passage: what is \\mask{}?",
            r"solve\.txt:2: \\mask\{\} stands for nothing here.* as ____; write \$blank",
        ),
    ],
)
def test_a_wrong_user_file_is_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_templates("chat", tmp_path)


def test_a_reviser_may_be_shown_the_first_attempt_or_not(tmp_path):
    assert load_templates("plain").shows("revise", "attempt")
    assert not load_templates("chat").shows("revise", "attempt")
    (tmp_path / "revise.txt").write_text("$passage\n$attempt\n$review")
    assert load_templates("chat", tmp_path).shows("revise", "attempt")


def test_missing_folder_and_broken_encoding(tmp_path):
    with pytest.raises(ConfigError, match="no such prompts folder"):
        load_templates("chat", tmp_path / "none")
    (tmp_path / "system.txt").write_bytes(b"ab\xff")
    with pytest.raises(ConfigError, match=r"system\.txt: not UTF-8 at byte 2"):
        load_templates("chat", tmp_path)


def test_words_toml_needs_every_word(tmp_path):
    from importlib import resources

    shipped = (resources.files("alive.worlds.primer") / "prompts" / "words.toml").read_text()
    (tmp_path / "words.toml").write_text(shipped.replace('trivial = "trivial"\n', ""))
    with pytest.raises(ConfigError, match=r"words\.toml \[words\]: the key 'trivial' is missing"):
        load_templates("seed", tmp_path)
    (tmp_path / "words.toml").write_text(shipped.replace('"raw"', '"cooked"'))
    with pytest.raises(ConfigError, match="'cooked'; use 'raw' or 'chat'"):
        load_templates("seed", tmp_path)
