"""Fixtures for the whole suite: tiny tokenizers built in code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import toy
from hypothesis import HealthCheck, settings

# A busy machine is no failure.
settings.register_profile("alive", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("alive")

SEED_TOKENS = [
    *("<EF>", "</EF>", "<|text|>", "<|pose|>", "<|solve|>"),
    *("<|answer|>", "<|review|>", "<|revise|>", "<|end|>", "<|pad|>"),
]
CHAT_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nDefault system.<|im_end|>\n"
    "{% endif %}{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LINES = [
    "Tom has 23 apples and buys 14 more. 23+14=37\n37-9=28\n\\boxed{28}",
    "1 ok\n2 wrong tens\nSummary: step 2 is wrong in the tens\nVerdict: wrong\nScore: 5",
]


def _byte_level(special: list[str]):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=special,
        show_progress=False,
    )
    backend.train_from_iterator(LINES, trainer)
    return backend


@pytest.fixture(scope="session")
def seed_tokenizer():
    """Byte-level BPE with the seed's role tokens, 320 entries at most."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(SEED_TOKENS),
        eos_token="<|end|>",
        pad_token="<|pad|>",
        extra_special_tokens=SEED_TOKENS[:8],
    )


@pytest.fixture(scope="session")
def chat_tokenizer():
    """The same with a ChatML template, eos other than the turn's end, and a non-special token."""
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(CHAT_TOKENS),
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=CHAT_TOKENS[1:],
        chat_template=CHATML,
    )
    tokenizer.add_tokens([AddedToken("<tool_call>", special=False, normalized=False)])
    return tokenizer


@pytest.fixture(scope="session")
def plain_tokenizer():
    """The same without a chat template: a base model's."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(CHAT_TOKENS[:1]), eos_token="<|endoftext|>"
    )


@pytest.fixture(scope="session")
def toy_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the toy model, corpus and suite."""
    folder = tmp_path_factory.mktemp("toy")
    toy.write_model(folder / "model")
    toy.write_corpus(folder / "corpus.jsonl")
    toy.write_suite(folder / "birds.jsonl")
    return folder


@pytest.fixture(scope="session")
def toy_run(
    toy_world: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], str]:
    """One uninterrupted run: its folder, its summary, what it showed. Not to be written to."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    return folder, *toy.play(toy.settings_of(toy_world, folder))
