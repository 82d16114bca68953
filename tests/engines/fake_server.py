"""A server on loopback that answers as vLLM does, from a tiny local model: its tokens are real."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import torch
from safetensors.torch import load_file
from tiny import llama

Answer = Callable[[Any, dict[str, Any]], "dict[str, Any] | None"]


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # a run asks many at once


class FakeServer:
    """Holds a model and a tokenizer, and speaks the routes that are used.

    Attributes:
        heard: Every path that was asked, in order, with its body.
        altered: By path, what is done in place of the answer: it gets the handler and the answer
            and returns another, or sends one itself and returns None.
        weights: How the weights are called.
        paused: Whether it decodes nothing.
    """

    def __init__(self, tokenizer: Any, model: Any = None, *, room: int | None = 1024) -> None:
        self.tokenizer, self.room, self.name = tokenizer, room, "tiny"
        self.model = llama(len(tokenizer)) if model is None else model
        self.heard: list[tuple[str, Any]] = []
        self.altered: dict[str, Answer] = {}
        self.weights, self.paused, self.port, self.parts = "default", False, 0, 1
        self._lock = threading.Lock()

    def __enter__(self) -> FakeServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listens, on the port of before where there was one."""
        self.http = _Listener(("127.0.0.1", self.port), _handler_of(self))
        self.port = self.http.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def started_anew(self) -> None:
        """Loses what it was told, as a process does that ends."""
        self.model, self.weights, self.paused = llama(len(self.tokenizer)), "default", False

    def asked(self, path: str) -> list[Any]:
        """Bodies of the requests at a path."""
        return [body for at, body in self.heard if at == path]

    def answer(self, path: str, query: dict[str, list[str]], body: Any) -> dict[str, Any]:
        with self._lock:  # one model, many threads
            return _ROUTES[path](self, query, body)

    def _models(self, query: Any, body: Any) -> dict[str, Any]:
        return {"data": [{"id": self.name, "owned_by": "vllm", "max_model_len": self.room}]}

    def _tokenize(self, query: Any, body: Any) -> dict[str, Any]:
        return {"tokens": self.tokenizer.encode(body["prompt"], add_special_tokens=False)}

    def _world(self, query: Any, body: Any) -> dict[str, Any]:
        return {"world_size": self.parts if query["include_dp"] == ["true"] else 1}

    def _pause(self, query: Any, body: Any) -> dict[str, Any]:
        self.paused = True
        return {"status": "paused"}

    def _resume(self, query: Any, body: Any) -> dict[str, Any]:
        self.paused = False
        return {"status": "resumed"}

    def _rpc(self, query: Any, body: Any) -> dict[str, Any]:
        assert body["method"] == "reload_weights" and self.paused
        state: dict[str, Any] = {}
        for file in Path(body["kwargs"]["weights_path"]).glob("*.safetensors"):
            state |= load_file(file)
        # A head that is tied to the embeddings is not stored.
        missing, unexpected = self.model.load_state_dict(state, strict=False)
        assert not unexpected and set(missing) <= {"lm_head.weight"}
        return {"results": [None]}

    def _reset(self, query: Any, body: Any) -> dict[str, Any]:
        return {"success": True}

    def _name_weights(self, query: Any, body: Any) -> dict[str, Any]:
        self.weights = body["new_version"]
        return {"success": True, "new_version": self.weights}

    def _info(self, query: Any, body: Any) -> dict[str, Any]:
        return {"weight_version": self.weights}

    def _complete(self, query: Any, body: Any) -> dict[str, Any]:
        assert not self.paused
        assert body["model"] == self.name
        assert body.get("n", 1) == 1 or body["temperature"] > 0
        rows = [self._drawn(body, index) for index in range(body.get("n", 1))]
        return {"choices": rows}

    @torch.no_grad()
    def _drawn(self, body: dict[str, Any], index: int) -> dict[str, Any]:
        ids: list[int] = []
        prompt, told, reason = body["prompt"], [], "length"
        generator = torch.Generator().manual_seed(body.get("seed", 0) + index)
        bias = {int(token): by for token, by in body.get("logit_bias", {}).items()}
        while len(ids) < body["max_tokens"] and reason == "length":
            logits = self.model(torch.tensor([[*prompt, *ids]])).logits[0, -1].float()
            shaped = logits.clone()
            for token, by in bias.items():
                shaped[token] += by
            if warmth := body.get("temperature", 1.0):
                shares = torch.softmax(shaped / warmth, -1)
                token = int(torch.multinomial(shares, 1, generator=generator))
            else:
                token = int(shaped.argmax())
            ids.append(token)
            told.append(torch.log_softmax(logits, -1)[token].item())
            text = self.tokenizer.decode(ids, skip_special_tokens=True)
            ended = any(stop in text for stop in body.get("stop", ()))
            if token in body.get("stop_token_ids", ()) or ended:
                reason = "stop"
        answer = {
            "index": index,
            "token_ids": ids,
            "prompt_token_ids": prompt,
            "logprobs": {"token_logprobs": told},
            "finish_reason": reason,
        }
        if body.get("prompt_logprobs") is None:
            return answer
        row = torch.log_softmax(self.model(torch.tensor([prompt])).logits[0].float(), -1)
        of_prompt = [
            {str(token): {"logprob": row[at, token].item()}} for at, token in enumerate(prompt[1:])
        ]
        return answer | {"prompt_logprobs": [None, *of_prompt]}


_ROUTES: dict[str, Callable[..., dict[str, Any]]] = {
    "/v1/models": FakeServer._models,
    "/v1/completions": FakeServer._complete,
    "/tokenize": FakeServer._tokenize,
    "/get_world_size": FakeServer._world,
    "/pause": FakeServer._pause,
    "/resume": FakeServer._resume,
    "/collective_rpc": FakeServer._rpc,
    "/reset_prefix_cache": FakeServer._reset,
    "/update_weight_version": FakeServer._name_weights,
    "/weight_info": FakeServer._info,
}


def _handler_of(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.handled(None)

        def do_POST(self) -> None:
            self.handled(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def handled(self, body: Any) -> None:
            parts = urlsplit(self.path)
            server.heard.append((parts.path, body))
            if parts.path not in _ROUTES:
                return self.send(404, b"no such route")
            answer = server.answer(parts.path, parse_qs(parts.query), body)
            if alter := server.altered.get(parts.path):
                altered = alter(self, answer)
                if altered is None:
                    return None
                answer = altered
            return self.send(200, json.dumps(answer).encode())

        def send(self, code: int, data: bytes, length: int | None = None) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(data) if length is None else length))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    return Handler


def slow(seconds: float) -> Answer:
    """Lets an answer wait."""

    def alter(handler: Any, answer: dict[str, Any]) -> dict[str, Any]:
        time.sleep(seconds)
        return answer

    return alter
