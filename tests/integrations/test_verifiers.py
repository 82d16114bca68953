"""An episode of the real package, its agents answered by a scripted endpoint on loopback."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tiny import llama

pytest.importorskip("verifiers")
pytestmark = pytest.mark.filterwarnings("ignore")  # the package's own, and its dependencies'

TEXT = (
    "Ann walked from the mill to the lake and counted what she saw on the water. "
    "There were four ducks and three swans, and so she wrote down 7 birds in all."
)
Reply = Callable[[list[dict[str, str]]], str]


class Endpoint:
    """A chat model that follows a script, and remembers what it was asked."""

    def __init__(self, reply: Reply) -> None:
        self.reply, self.asked = reply, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(body)
                try:
                    said, code = outer.reply(body["messages"]), 200
                except ValueError as error:
                    said, code = str(error), 400
                message = {"role": "assistant", "content": said}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
                answer = json.dumps(
                    {"error": {"message": said}}
                    if code != 200
                    else {
                        **{"id": "x", "object": "chat.completion", "created": 0},
                        **{"model": "scripted", "choices": [choice], "usage": usage},
                    }
                ).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def endpoint() -> Iterator[Callable[[Reply], Endpoint]]:
    opened: list[Endpoint] = []

    def start(reply: Reply) -> Endpoint:
        opened.append(Endpoint(reply))
        return opened[-1]

    yield start
    for one in opened:
        one.server.shutdown()
        one.server.server_close()


def write_model(tokenizer: Any, folder: Path) -> None:
    tokenizer.save_pretrained(folder)
    llama(len(tokenizer)).save_pretrained(folder)


@pytest.fixture
def play(
    chat_tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Plays the first document of a folder against an endpoint; returns the episode."""
    import verifiers.v1 as vf

    monkeypatch.setattr("verifiers.v1.runtimes.subprocess.CACHE_DIR", tmp_path / "cache")
    write_model(chat_tokenizer, tmp_path / "model")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/birds.txt").write_text(TEXT)

    def run(url: str, **settings: Any) -> Any:
        taskset = {
            "id": "alive-verifiers",
            "paths": [str(tmp_path / "notes")],
            "model": str(tmp_path / "model"),
            "chunk_tokens": 2000,
        }
        config = vf.resolve_env_config({"taskset": taskset, **settings})
        env = vf.load_environment(config)
        client = vf.EvalClientConfig(base_url=url, api_key_var="ALIVE_NO_SUCH_KEY")
        context = vf.ModelContext(
            model="scripted", client=client, sampling=vf.SamplingConfig(temperature=1.0)
        )

        async def episode() -> Any:
            async with env.serving():
                return await env.run_episode(next(iter(env.taskset)), context)

        return asyncio.run(episode())

    return run


def scripted(span: str = "7") -> Reply:
    """Poses a span; is right in every other attempt; calls every attempt wrong."""
    attempts: list[str] = []

    def reply(messages: list[dict[str, str]]) -> str:
        said = messages[-1]["content"]
        if "Copy one short piece" in said:
            return span
        if "Attempt:" in said:
            return "The attempt is wrong because its sum does not hold."
        attempts.append("7" if len(attempts) % 2 else "8")
        return f"Ducks and swans together. \\boxed{{{attempts[-1]}}}"

    return reply


def seats(episode: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for trace in episode.traces:
        found.setdefault(trace.agent.name, []).append(trace)
    return found


def test_an_episode_has_a_poser_solvers_and_reviewers(play: Any, endpoint: Any) -> None:
    server = endpoint(scripted())
    episode = play(server.url, attempts=4, reviews=2)
    assert episode.ok, episode.errors
    found = seats(episode)
    assert {name: len(traces) for name, traces in found.items()} == {
        "poser": 1, "solver": 4, "reviewer": 4,
    }  # fmt: skip
    # Two of four are right: p = .5 reaches 2/N, and the poser gets 1 - p.
    assert [trace.reward for trace in found["poser"]] == [0.5]
    assert sorted(trace.reward for trace in found["solver"]) == [0.0, 0.0, 1.0, 1.0]
    # "Wrong" of everything: right about the wrong attempt, twice, and no more.
    assert sorted(trace.reward for trace in found["reviewer"]) == [0.0, 0.0, 1.0, 1.0]
    for trace in found["solver"]:
        assert trace.reward == float("boxed{7}" in trace.last_reply)
    for trace in found["reviewer"]:
        assert trace.reward == float("boxed{8}" in trace.task.data.prompt_text)


def test_prompts_are_the_game_s_and_hide_the_span(play: Any, endpoint: Any) -> None:
    server = endpoint(scripted())
    play(server.url, attempts=2, reviews=1)
    posed, *others = server.asked
    assert [m["role"] for m in posed["messages"]] == ["user", "assistant", "user"]
    assert TEXT in posed["messages"][-1]["content"]
    assert "challenging" in posed["messages"][-1]["content"]
    assert len(others) == 4
    for body in others:
        said = body["messages"][-1]["content"]
        assert "wrote down ____" in said and "wrote down 7" not in said
        assert "For your eyes only" not in said
    assert [body["max_tokens"] for body in server.asked] == [16, 512, 512, 256, 256]


def test_a_span_that_is_refused_is_worth_nothing_and_chance_poses(play: Any, endpoint: Any) -> None:
    server = endpoint(scripted("<script>alert(1)</script>"))
    found = seats(play(server.url, attempts=2, reviews=0))
    assert [trace.reward for trace in found["poser"]] == [0.0, 0.0, 0.0]
    assert len(found["solver"]) == 2 and "reviewer" not in found


def test_an_endpoint_that_fails_fails_the_episode(play: Any, endpoint: Any) -> None:
    def reply(messages: list[dict[str, str]]) -> str:
        raise ValueError("no such model")

    episode = play(endpoint(reply).url, attempts=2)
    assert not episode.ok
    assert any("the poser could not be asked" in error.message for error in episode.errors)


def test_the_same_seed_gives_the_same_documents(chat_tokenizer: Any, tmp_path: Path) -> None:
    from itertools import islice

    from alive.integrations.verifiers import DocumentTaskset, DocumentTasksetConfig

    write_model(chat_tokenizer, tmp_path / "model")
    lines = [json.dumps({"text": f"{TEXT} This was day {day} of the year."}) for day in range(9)]
    (tmp_path / "days.jsonl").write_text("\n".join(lines))
    config = DocumentTasksetConfig(
        paths=[str(tmp_path / "days.jsonl")], model=str(tmp_path / "model"), chunk_tokens=2000
    )
    twice = [list(islice(DocumentTaskset(config), 12)) for _ in range(2)]
    keys = [[task.key for task in tasks] for tasks in twice]
    assert keys[0] == keys[1]
    assert len(set(keys[0][:9])) == 9 and set(keys[0][9:]) <= set(keys[0][:9])
    assert [task.data.idx for task in twice[0]] == list(range(12))
