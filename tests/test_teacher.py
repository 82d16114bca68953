import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from alive.errors import AliveError, ConfigError
from alive.teacher import KEY_VARIABLE, EndpointTeacher


def ask(text):
    return [{"role": "system", "content": "Review."}, {"role": "user", "content": text}]


def good(text):
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


class Server:
    """A real HTTP server on loopback that answers as each test says, and remembers requests."""

    def __init__(self, answer):
        self.requests = []
        self.keys = []
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    outer.requests.append((self.path, body))
                    outer.keys.append(self.headers.get("Authorization"))
                    count = len(outer.requests)
                answer(self, body, count)

            def send(self, code, data, length=None, **headers):
                self.send_response(code)
                self.send_header("Content-Length", str(len(data) if length is None else length))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    def __enter__(self):
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def __exit__(self, *args):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def teacher(server, **settings):
    return EndpointTeacher(server.url, "m", **({"timeout": 5.0, "backoff": 0.0} | settings))


def echo(handler, body, count):
    handler.send(200, good("critique of " + body["messages"][-1]["content"]))


def test_critiques_come_back_in_order_and_the_request_is_the_protocols():
    with Server(echo) as server:
        texts = [f"attempt {i}" for i in range(9)]
        answers = teacher(server, max_tokens=33).critiques([ask(text) for text in texts])
    assert answers == [f"critique of attempt {i}" for i in range(9)]
    path, body = min(server.requests, key=lambda request: request[1]["messages"][-1]["content"])
    assert path == "/v1/chat/completions"
    assert body == {
        "model": "m",
        "messages": ask("attempt 0"),
        "max_tokens": 33,
        "temperature": 0.0,
        "stream": False,
    }
    assert set(server.keys) == {None}


def test_no_prompts_no_requests():
    with Server(echo) as server:
        assert teacher(server).critiques([]) == []
    assert server.requests == []


def test_the_key_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "k1")
    with Server(echo) as server:
        teacher(server).critiques([ask("a")])
    assert server.keys == ["Bearer k1"]


def test_a_busy_server_is_asked_again():
    def answer(handler, body, count):
        handler.send(*((503, b"busy") if count < 3 else (200, good("fine"))))

    with Server(answer) as server:
        assert teacher(server).critiques([ask("a")]) == ["fine"]
    assert len(server.requests) == 3


def test_a_torn_body_is_asked_again():
    def answer(handler, body, count):
        whole = good("fine")
        handler.send(200, whole[: 10 if count == 1 else None], length=len(whole))
        handler.close_connection = True

    with Server(answer) as server:
        assert teacher(server).critiques([ask("a")]) == ["fine"]
    assert len(server.requests) == 2


def test_a_failing_server_ends_the_run_after_bounded_tries():
    with (
        Server(lambda handler, body, count: handler.send(500, b"kaput")) as server,
        pytest.raises(AliveError, match=r"failed 3 times \(HTTP 500: kaput\)") as caught,
    ):
        teacher(server, retries=2).critiques([ask("a")])
    assert server.url in str(caught.value) and "warmup.teacher=auto" in str(caught.value)
    assert len(server.requests) == 3
    assert caught.value.exit_code == 1


def test_a_silent_server_times_out():
    def answer(handler, body, count):
        time.sleep(0.3)

    with Server(answer) as server, pytest.raises(AliveError, match="timed out"):
        teacher(server, timeout=0.05, retries=1).critiques([ask("a")])
    assert len(server.requests) == 2


def test_nobody_listening():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        nobody = EndpointTeacher(f"http://127.0.0.1:{port}/v1", "m", retries=1, backoff=0.0)
        with pytest.raises(AliveError, match=f"127.0.0.1:{port}/v1 failed 2 times.*refused"):
            nobody.critiques([ask("a")])


@pytest.mark.parametrize(
    "data",
    [
        b"<html>hello</html>",
        b"{}",
        b"[]",
        b'{"choices": []}',
        b'{"choices": [3]}',
        b"null",
        b"\xff\xfe",
    ],
)
def test_another_protocol_is_named(data):
    with (
        Server(lambda handler, body, count: handler.send(200, data)) as server,
        pytest.raises(AliveError, match="does not answer as an OpenAI-compatible"),
    ):
        teacher(server).critiques([ask("a")])
    assert len(server.requests) == 1


SILENT = {
    "reasoning alone": {"content": None, "reasoning_content": "Let me see: 3 and 4"},
    "no content at all": {"reasoning": "Let me see"},
    "an empty text": {"content": ""},
    "blanks": {"content": " \n"},
    "thinking left in the text": {"content": "<think>Let me see: 3 and"},
    "nothing after the thinking": {"content": "Let me see</think>\n"},
    "parts without text": {"content": [{"type": "thinking", "thinking": "hm"}]},
    "a refusal": {"content": None, "refusal": "I cannot"},
}
"""CASES 20, first kind: messages of endpoints that are sound and hold no critique."""


def reply(message):
    return json.dumps({"choices": [{"message": {"role": "assistant"} | message}]}).encode()


@pytest.mark.parametrize("kind", SILENT)
def test_an_answer_without_text_is_asked_for_again(kind):
    def answer(handler, body, count):
        handler.send(200, good("fine") if count == 3 else reply(SILENT[kind]))

    with Server(answer) as server:
        assert teacher(server).critiques([ask("a")]) == ["fine"]
    assert len(server.requests) == 3
    assert server.requests[0] == server.requests[2]


@pytest.mark.parametrize("kind", SILENT)
def test_an_attempt_without_an_answer_is_counted_and_ends_nothing(kind):
    def answer(handler, body, count):
        mute = body["messages"][-1]["content"] == "mute"
        handler.send(200, reply(SILENT[kind]) if mute else good("fine"))

    said = r"no text for 2 of 3 attempts, asked 3 times each.*raise sampling.review_tokens"
    with Server(answer) as server, pytest.warns(UserWarning, match=said):
        found = teacher(server, retries=2).critiques([ask("mute"), ask("b"), ask("mute")])
    assert found == [None, "fine", None]
    assert len(server.requests) == 7


@pytest.mark.parametrize(
    "content",
    [
        "<think>is it?</think>\n\nVerdict: right",
        "is it?</think>Verdict: right",
        [{"type": "thinking", "text": "is it?"}, {"type": "text", "text": "Verdict: right"}],
    ],
)
def test_what_a_model_thought_is_no_critique(content):
    with Server(lambda h, body, count: h.send(200, reply({"content": content}))) as server:
        assert teacher(server).critiques([ask("a")]) == ["Verdict: right"]


SECRET = [
    *("http://me:hunter2@127.0.0.1:1/v1", "https://hunter2@host.example/v1"),
    *("https://host.example/v1?api_key=hunter2", "https://host.example/v1#token=hunter2"),
    *("http://me:hunter2@", "me:hunter2@host.example/v1", "ftp://me:hunter2@host/v1"),
    *("http://127.0.0.1:1/v1?sig=hunter2", "http://[me:hunter2@::1"),
]
"""CASES 20, second kind: URLs that hold what must not be recorded."""


@pytest.mark.parametrize("url", SECRET)
def test_a_secret_in_the_url_is_refused_and_never_repeated(url, tmp_path, capsys, monkeypatch):
    from pydantic import ValidationError

    from alive.cli import run
    from alive.config import WarmupConfig
    from alive.settings import load_config

    with pytest.raises(ConfigError, match="password or a query") as direct:
        EndpointTeacher(url, "m")
    file = tmp_path / "mine.toml"
    file.write_text(f'[warmup]\nteacher = "{url}"\n')
    with pytest.raises(ConfigError, match=r"mine\.toml: warmup\.teacher holds") as read:
        load_config(files=[file])
    with pytest.raises(ValidationError, match="password or a query") as made:
        WarmupConfig(teacher=url)
    monkeypatch.chdir(tmp_path)
    out = ["--set", "warmup.teacher_model=m", "--out", "run"]
    assert run(["train", "--set", f"warmup.teacher={url}", *out]) == 2
    said = capsys.readouterr().err
    assert "ALIVE_TEACHER_KEY" in said
    assert "hunter2" not in f"{direct.value}{read.value}{made.value}{said}"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("host", ["192.0.2.7", "teacher.example", "127.0.0.1.example", "10.0.0.3"])
def test_a_key_never_crosses_the_network_in_the_clear(host, monkeypatch, recwarn):
    monkeypatch.setenv(KEY_VARIABLE, "hunter2")
    with pytest.raises(ConfigError, match=r"by https://, .*tunnel.*unset ALIVE_TEACHER_KEY") as e:
        EndpointTeacher(f"http://{host}:8000/v1", "m")
    assert "hunter2" not in str(e.value)
    assert not recwarn.list
    for local in ("127.0.0.1", "localhost", "[::1]"):
        EndpointTeacher(f"http://{local}:8000/v1", "m")
    with pytest.warns(UserWarning, match="will be sent there"):
        EndpointTeacher(f"https://{host}/v1", "m")


def test_a_key_with_a_line_break_is_a_key(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "k1\n")
    with Server(echo) as server:
        teacher(server).critiques([ask("a")])
    assert server.keys == ["Bearer k1"]
    monkeypatch.setenv(KEY_VARIABLE, "hunter2\nX-Other: 1")
    with pytest.raises(ConfigError, match="characters that no key has") as caught:
        teacher(server)
    assert "hunter2" not in str(caught.value)


def test_a_run_asks_for_an_endpoint_it_can_use_before_it_loads_anything(tmp_path, monkeypatch):
    import alive
    from alive.settings import load_config

    monkeypatch.setenv(KEY_VARIABLE, "hunter2")
    given = ["warmup.steps=1", f'out="{tmp_path}/run"', "warmup.teacher_model=m"]
    given.append("warmup.teacher=http://192.0.2.7/v1")
    with pytest.raises(ConfigError, match="plain HTTP"):
        alive.train(load_config("quickstart", overrides=given))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("code", "says"), [(401, KEY_VARIABLE), (404, "/v1"), (400, "teacher_model"), (302, "302")]
)
def test_a_refusal_is_the_users_to_mend_and_never_repeated_or_followed(code, says):
    def answer(handler, body, count):
        handler.send(code, b"no", Location="http://192.0.2.1/steal")

    with Server(answer) as server, pytest.raises(ConfigError, match=says):
        teacher(server).critiques([ask("a")])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "url",
    ["", "templete", "ftp://127.0.0.1/v1", "http:///v1", "file:///x", "http://[x", "http://a:b/v1"],
)
def test_a_wrong_url_is_refused(url):
    with pytest.raises(ConfigError, match="neither 'auto' nor"):
        EndpointTeacher(url, "m")


def test_a_model_name_is_needed():
    with pytest.raises(ConfigError, match=r"warmup\.teacher_model"):
        EndpointTeacher("http://127.0.0.1:1/v1", "")


@pytest.mark.parametrize("host", ["192.0.2.7", "teacher.example", "127.0.0.1.example"])
def test_another_machine_is_warned_of(host):
    with pytest.warns(UserWarning, match="corpus and attempts will be sent there"):
        EndpointTeacher(f"http://{host}/v1", "m")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "127.9.9.9"])
def test_this_machine_is_not_warned_of(host):
    EndpointTeacher(f"http://{host}/v1", "m")


@pytest.mark.slow
def test_a_real_server_answers(tmp_path, monkeypatch):
    for module in ("fastapi", "uvicorn", "openai"):
        pytest.importorskip(module)
    sys.path.insert(0, str(__import__("pathlib").Path(__file__).parent / "engines"))
    import tiny_models

    tokenizer = tiny_models.tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    tiny_models.llama().save_pretrained(tmp_path / "m")
    tokenizer.save_pretrained(tmp_path / "m")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = "from transformers.cli.transformers import main; main()"
    arguments = ["serve", str(tmp_path / "m"), "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", command, *arguments], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                    break
            except OSError:
                assert server.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.5)
        real = EndpointTeacher(f"http://127.0.0.1:{port}/v1", str(tmp_path / "m"), max_tokens=8)
        answers = real.critiques([ask("w1 w2 w3"), ask("w4")])
        assert answers == real.critiques([ask("w1 w2 w3"), ask("w4")])
        words = {f"w{i}" for i in range(tiny_models.SIZE)} | {"<unk>", "<s>"}
        assert len(answers) == 2 and all(answers)
        assert all(set(answer.split()) <= words for answer in answers)
    finally:
        server.terminate()
        server.wait(30)
