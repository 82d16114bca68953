"""The seed's tokenizer: byte-level BPE trained on the primer, numbers kept apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, END = "<|pad|>", "<|end|>"
MARKERS = ("<EF>", "</EF>", "<|text|>", "<|pose|>", "<|solve|>", "<|answer|>", "<|review|>")
SPECIAL_TOKENS = (PAD, END, *MARKERS, "<|revise|>")


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Trains the tokenizer.

    Merges may cross spaces, so that a phrase of the primer is one token, but never a number's edge:
    the numbers of the primer are a token each, longer ones are read in pairs of digits. Every byte
    has a token, so any text can be encoded.

    Args:
        texts: The primer's texts, without special tokens.
        vocabulary: Number of tokens, special ones included.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d{1,2}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=24,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[*MARKERS, "<|revise|>"],
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )
