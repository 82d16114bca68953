"""Settings: layers, and a message for each way to get one wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from alive.config import Config
from alive.corpus.tables import is_hub_id
from alive.errors import ConfigError
from alive.settings import GONE, gone_in, known_keys, load_config, preset_names, stored_config


def test_later_layers_win(tmp_path: Path) -> None:
    first = tmp_path / "a.toml"
    second = tmp_path / "b.toml"
    first.write_text("seed = 1\n[game]\nmasks_per_document = 2\nsolutions_per_mask = 3\n")
    second.write_text("seed = 2\n[game]\nmasks_per_document = 5\n")
    config = load_config("laptop", [first, second], ["game.masks_per_document=6"])
    assert config.seed == 2
    assert config.game.masks_per_document == 6
    assert config.game.solutions_per_mask == 3
    assert config.model.id == "Qwen/Qwen2.5-0.5B-Instruct"


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("seed=3", "seed", 3),
        ("out=runs/a b", "out", "runs/a b"),
        ('out="runs/x"', "out", "runs/x"),
        ("model.id=org/name", "model.id", "org/name"),
        ("learn.learning_rate=2e-5", "learn.learning_rate", 2e-5),
        ("learn.weight_decay=1", "learn.weight_decay", 1.0),
        ("evaluate.self_correct=false", "evaluate.self_correct", False),
        ('corpus.paths=["a","b.txt"]', "corpus.paths", ("a", "b.txt")),
        ("log.to=wandb", "log.to", ("wandb",)),
        ('log.to=["trackio","wandb"]', "log.to", ("trackio", "wandb")),
        ("log.to=[]", "log.to", ()),
    ],
)
def test_override_values(override: str, key: str, value: object) -> None:
    found: object = load_config(overrides=[override])
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "game.mask_per_document=2",
            "unknown setting game.mask_per_document (did you mean game.masks_per_document?)",
        ),
        ("learning_rate=1", "unknown setting learning_rate (did you mean learn.learning_rate?)"),
        ("learn.lr=1", "unknown setting learn.lr (did you mean learn.learning_rate?)"),
        ("sede=1", "unknown setting sede (did you mean seed?)"),
        ("zzzz=1", "unknown setting zzzz"),
        ("game=1", "game is a section; set one of its keys, as game.KEY=VALUE"),
        ("seed.inner=1", "unknown setting seed.inner"),
        ("seed", "write it as section.key=value"),
        ("steps=0", "steps must be at least 1, not 0"),
        ("steps=many", "steps must be a whole number, not 'many'"),
        ("steps=1.5", "steps must be a whole number, not 1.5"),
        ("game.random_share=1.5", "game.random_share must be at least 0 and at most 1, not 1.5"),
        ("sampling.temperature=0", "sampling.temperature must be above 0, not 0"),
        ("sampling.temperature=nan", "sampling.temperature must be above 0, not nan"),
        (
            "model.dtype=float16",
            "model.dtype must be one of 'auto', 'float32', 'bfloat16', not 'float16'",
        ),
        (
            "arm=gpro",
            "arm must be one of 'alive', 'rft', 'star', 'grpo', or your own as 'module:function', "
            "not 'gpro' (did you mean grpo?)",
        ),
        (
            "arm=my_arm:",
            "arm must be one of 'alive', 'rft', 'star', 'grpo', or your own as 'module:function', "
            "not 'my_arm:'",
        ),
        (
            "evaluate.self_correct=perhaps",
            "evaluate.self_correct must be true or false, not 'perhaps'",
        ),
        ("corpus.paths=a.txt", 'corpus.paths must be a list, such as ["a", "b"], not \'a.txt\''),
        ("model.id=3", "model.id must be a string, not 3"),
        (
            "log.to=tensorbord",
            "log.to must be one of 'tensorboard', 'wandb', 'trackio', not 'tensorbord'",
        ),
        ("model.base_bits=8", "model.base_bits must be one of 16, 4, not 8"),
        ("model.base_bits=4", "model.base_bits = 4 needs adapters"),
        ("checkpoint_minutes=-1", "checkpoint_minutes must be at least 0, not -1"),
        ("learn.checkpointing=yes", "learn.checkpointing must be one of 'auto', 'on', 'off'"),
        ("log.to=3", 'log.to must be a list, such as ["a", "b"], not 3'),
    ],
)
def test_override_mistakes(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[override])
    assert str(caught.value).startswith(f"--set {override}: ")
    assert message in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("steps = 0\n")
    with pytest.raises(ConfigError) as caught:
        load_config(None, [file], ["seed=-1"])
    assert sorted(str(caught.value).splitlines()) == [
        "--set seed=-1: seed must be at least 0, not -1",
        f"{file}: steps must be at least 1, not 0",
    ]


def test_file_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such settings file"):
        load_config(None, [tmp_path / "none.toml"])
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(None, [tmp_path])
    torn = tmp_path / "torn.toml"
    torn.write_text("seed = \n")
    with pytest.raises(ConfigError, match=r"torn\.toml: not a TOML file: .*line 1"):
        load_config(None, [torn])
    unknown = tmp_path / "unknown.toml"
    unknown.write_text("[gane]\nrandom_share = 1\n")
    with pytest.raises(ConfigError, match=r"unknown\.toml: unknown setting gane.random_share .did"):
        load_config(None, [unknown])


def test_unknown_preset() -> None:
    with pytest.raises(
        ConfigError, match=r"did you mean paper\?\); there are laptop, paper, quickstart, qwen"
    ):
        load_config("papper")


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_loads(name: str) -> None:
    assert isinstance(load_config(name), Config)


def test_paper_preset_holds_the_papers_numbers() -> None:
    config = load_config("paper")
    assert config.model.id == "Qwen/Qwen2.5-7B" and config.model.lora_rank == 0
    assert [path.split("/")[1] for path in config.corpus.paths] == [
        "Big-Math-RL-Verified", "WebInstruct-verified",
    ]  # fmt: skip
    assert all(map(is_hub_id, config.corpus.paths))
    assert config.game.documents_per_step == 1
    assert config.game.masks_per_document == 8
    assert config.game.solutions_per_mask == 16
    assert config.warmup.steps == 256


@pytest.mark.parametrize(("preset", "sizes"), [("paper", (8, 16)), ("quickstart", (2, 4))])
def test_group_sizes_are_the_papers_and_smaller_ones(preset: str, sizes: tuple[int, int]) -> None:
    game = load_config(preset).game
    assert (game.masks_per_document, game.solutions_per_mask) == sizes


SIZES = (
    *("steps", "game.documents_per_step", "game.masks_per_document", "game.solutions_per_mask"),
    *("game.revisions_per_mask", "game.reviews_per_document", "sampling.pose_tokens"),
    *("sampling.solve_tokens", "sampling.review_tokens", "learn.micro_batch_tokens"),
    *("learn.learning_rate", "evaluate.suites", "evaluate.condition_tasks"),
)


def value(config: Config, key: str) -> object:
    found: object = config
    for part in key.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("key", SIZES)
def test_no_general_default_is_the_seeds_by_accident(key: str) -> None:
    """The seed's sizes stand in its own preset, so another default never changes its runs."""
    import tomllib

    from alive.doors import preset_files

    seeds = value(load_config("quickstart"), key)
    for general in (Config(), load_config("qwen"), load_config("paper")):
        assert value(general, key) != seeds
    assert value(Config(), key) != seeds
    section, _, leaf = key.rpartition(".")
    written = tomllib.loads(preset_files()["quickstart"].read_text("utf-8"))
    assert leaf in (written[section] if section else written)


def test_attempts_and_reviews_of_a_general_model_have_room() -> None:
    for preset in (None, "qwen", "laptop"):
        sampling = load_config(preset).sampling
        assert (sampling.solve_tokens, sampling.review_tokens) == (512, 256)


def test_every_setting_is_described() -> None:
    assert [key for key, text in known_keys().items() if not text] == []


@pytest.mark.parametrize("key", sorted(GONE))
def test_a_setting_that_is_gone_says_what_became_of_it(key: str, tmp_path: Path) -> None:
    assert key not in known_keys()
    sentence = f"the setting {key} {GONE[key]}"
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[f"{key}=1"])
    assert str(caught.value) == f"--set {key}=1: {sentence}"
    section, _, leaf = key.rpartition(".")
    file = tmp_path / "old.toml"
    file.write_text(f"[{section}]\n{leaf} = 1\n")
    with pytest.raises(ConfigError) as caught:
        load_config(files=[file])
    assert str(caught.value) == f"{file}: {sentence}"


def test_a_new_name_is_a_setting() -> None:
    renamed = [said.removeprefix("is now ") for said in GONE.values() if said.startswith("is now ")]
    assert renamed == ["learn.corrected_weight"]
    assert set(renamed) <= set(known_keys())


def test_the_settings_of_an_earlier_version_can_be_looked_at() -> None:
    old = {"seed": 3, "learn": {"repair_weight": 1.0, "min_right": 2, "learning_rate": 0.5}}
    assert gone_in(old) == [
        "learn.repair_weight is now learn.corrected_weight",
        "learn.min_right is gone: every right attempt trains",
    ]
    config = stored_config("old/config.json", old)
    assert (config.seed, config.learn.learning_rate) == (3, 0.5)
    with pytest.raises(ConfigError, match=r"old/config\.json: unknown setting sede"):
        stored_config("old/config.json", {"sede": 1})


def test_a_base_of_four_bits_takes_adapters() -> None:
    overrides = ["model.base_bits=4", "model.lora_rank=8"]
    assert load_config(overrides=overrides).model.base_bits == 4
