"""Settings whose prompts cannot fit are refused before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny import gpt2, llama

from alive.config import Config, CorpusConfig, GameConfig, LearnConfig, ModelConfig, SamplingConfig
from alive.engines.context import check_context, longest
from alive.engines.weights import save_folder
from alive.errors import ConfigError, ModelError
from alive.prompts import make_renderer
from alive.types import MASK

SAMPLING = SamplingConfig(pose_tokens=5, solve_tokens=20, review_tokens=7)
CORPUS = CorpusConfig(chunk_tokens=100)


def settings(model: Path | str = "seed", **changed: Any) -> Config:
    parts = {"sampling": SAMPLING, "corpus": CORPUS, **changed}
    return Config(model=ModelConfig(id=str(model)), **parts)


def folder(path: Path, model: Any, tokenizer: Any) -> Path:
    save_folder(model, tokenizer, path)
    return path


def test_the_longest_sequence_by_hand(seed_tokenizer) -> None:
    """A revision is shown the passage, an attempt and its review, and writes an attempt."""
    renderer = make_renderer(seed_tokenizer)
    need = longest(renderer, settings())
    assert (need.role, need.filled, need.written) == ("revision", 100 + 20 + 7, 20)
    assert need.template == len(renderer.revise("", "", "").ids)
    filled = renderer.revise("a b", "c d", "e f")
    texts = sum(renderer.count_tokens(text) for text in ("a b", "c d", "e f"))
    assert len(filled.ids) == need.template + texts


def test_what_is_never_written_takes_no_room(seed_tokenizer) -> None:
    renderer = make_renderer(seed_tokenizer)
    long = SamplingConfig(pose_tokens=5, solve_tokens=20, review_tokens=60)
    unrevised = settings(game=GameConfig(revisions_per_mask=0), sampling=long)
    assert (longest(renderer, unrevised).role, longest(renderer, unrevised).written) == (
        "review",
        60,
    )
    unreviewed = settings().model_copy(update={"arm": "rft"})
    assert (longest(renderer, unreviewed).role, longest(renderer, unreviewed).filled) == (
        "solution",
        100,
    )
    posing = SamplingConfig(pose_tokens=90, solve_tokens=20, review_tokens=7)
    need = longest(renderer, settings(sampling=posing))
    assert (need.role, need.written) == ("proposal", 90)


def test_who_is_shown_the_text_reads_it_beside_the_passage(chat_tokenizer) -> None:
    renderer = make_renderer(chat_tokenizer)
    told = LearnConfig(distil_weight=1.0, distil_from="text")
    long = CorpusConfig(chunk_tokens=5000)
    need = longest(renderer, settings(learn=told, corpus=long))
    assert (need.filled, need.written) == (5000 + 5000, 20)
    assert need.template == len(renderer.inform(MASK, "").ids)
    assert need.role == "solution with the text in view"
    assert longest(renderer, settings(corpus=long)).filled < need.filled


def test_settings_that_fit_pass_and_one_token_more_is_refused(
    tmp_path: Path, seed_tokenizer
) -> None:
    model = folder(tmp_path, llama(len(seed_tokenizer)), seed_tokenizer)
    template = longest(make_renderer(seed_tokenizer), settings()).template
    chunk = 1024 - template - 20 - 7 - 20
    check_context(settings(model, corpus=CorpusConfig(chunk_tokens=chunk)))

    with pytest.raises(ConfigError) as refused:
        check_context(settings(model, corpus=CorpusConfig(chunk_tokens=chunk + 1)))

    assert str(refused.value) == (
        f"{model} has room for 1024 tokens, and a revision needs up to 1025: {template} of its "
        f"template, {chunk + 1 + 27} that fill it and 20 written; lower corpus.chunk_tokens "
        f"({chunk + 1}) or sampling.solve_tokens (20) or sampling.review_tokens (7)"
    )


def test_a_reviser_that_is_not_shown_the_attempt_needs_no_room_for_it(
    tmp_path: Path, seed_tokenizer
) -> None:
    (tmp_path / "revise.txt").write_text("<|revise|>$passage$review")
    need = longest(make_renderer(seed_tokenizer, str(tmp_path)), settings())
    assert need.filled + need.written <= 100 + 20 + 7


def test_a_context_that_the_template_fills_needs_another_model(
    tmp_path: Path, seed_tokenizer
) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    words = "word " * 80
    text = f"<|revise|>{words}$passage$attempt$review"
    (prompts / "revise.txt").write_text(text)
    model = folder(tmp_path / "model", gpt2(len(seed_tokenizer)), seed_tokenizer)
    config = settings().model_copy(
        update={"model": ModelConfig(id=str(model), prompts=str(prompts))}
    )

    with pytest.raises(ConfigError, match=r"has room for 64 tokens.* choose a model with a longer"):
        check_context(config)


def test_models_without_an_end_and_those_of_presets_pass(tmp_path: Path) -> None:
    check_context(settings("smollm2", corpus=CorpusConfig(chunk_tokens=1024)))
    check_context(settings("Qwen/Qwen2.5-7B", corpus=CorpusConfig(chunk_tokens=1024)))
    with pytest.raises(ModelError):
        check_context(settings(tmp_path))
