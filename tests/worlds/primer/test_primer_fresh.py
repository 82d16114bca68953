"""New models: random weights that depend on nothing but their seed."""

from __future__ import annotations

import torch

from alive.engines.weights import load_model
from alive.worlds.primer.fresh import new_model


def test_fresh_models_depend_on_their_seed_alone(seed_tokenizer) -> None:
    torch.manual_seed(1)
    first = new_model(seed_tokenizer, hidden=32, layers=1, seed=5)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)  # the process's stream was left alone
    again = new_model(seed_tokenizer, hidden=32, layers=1, seed=5)
    other = new_model(seed_tokenizer, hidden=32, layers=1, seed=6)
    same = first.state_dict()
    assert all(torch.equal(same[name], value) for name, value in again.state_dict().items())
    embedded = "model.embed_tokens.weight"
    assert not torch.equal(same[embedded], other.state_dict()[embedded])
    assert first.config.eos_token_id == seed_tokenizer.eos_token_id


def test_numbers_start_as_tens_plus_units() -> None:
    tokenizer = load_model("seed")[1]
    weights = new_model(tokenizer, hidden=32, layers=1).get_input_embeddings().weight

    def vector(number: int) -> torch.Tensor:
        [token] = tokenizer.encode(str(number), add_special_tokens=False)
        return weights[token]

    for low, high in ((25, 27), (3, 8)):
        units = vector(high) - vector(low)
        assert torch.allclose(units, vector(30 + high % 10) - vector(30 + low % 10), atol=1e-6)
        assert units.norm() > 0.1
    # No word stands on such a grid.
    a, b = (tokenizer.convert_tokens_to_ids(token) for token in ("<|solve|>", "<|review|>"))
    assert not torch.allclose(weights[a] - weights[b], vector(27) - vector(25), atol=1e-6)
