from typing import Any
def check_quantised(config: Any) -> None: ...
def max_positions(config: Any) -> int | None:
    text = config.get_text_config(decoder=True)
    return getattr(text, "max_position_embeddings", None)
