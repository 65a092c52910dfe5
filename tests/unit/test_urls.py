"""URLs: what is one, the sentence for each of its faults, and dropped connections."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from reading import read

from fastprep import TokenStore, prepare
from fastprep.corpus import remote
from fastprep.corpus.documents import Format, Span
from fastprep.corpus.formats import kind_of
from fastprep.corpus.inputs import find
from fastprep.corpus.passed_over import Tally
from fastprep.corpus.reader import can_split
from fastprep.errors import InvalidInput, MissingExtra
from fastprep.system.threads import StopFlag, Stopped

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

TEXTS = [f"text {number}".encode() for number in range(2000)]
CONTENT = b"".join(b'{"text": "%s"}\n' % text for text in TEXTS)


class Handler(http.server.BaseHTTPRequestHandler):
    """A server that does what the parts of a path say: status-500, ranges, drop-2."""

    protocol_version = "HTTP/1.1"
    requests: dict[str, int]

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        # As for a presigned address, whose signature is that of another method.
        self.answer(403, b"")

    def do_GET(self) -> None:
        said = dict(part.partition("-")[::2] for part in urlsplit(self.path).path.split("/"))
        served = self.requests.setdefault(self.path, 0)
        if "status" in said:
            self.requests[self.path] += 1
            self.answer(200 if served >= int(said.get("first") or 99) else int(said["status"]), b"")
            return
        data, status = CONTENT, 200
        asked = self.headers.get("Range")
        if asked and "ranges" in said:
            first, last = map(int, asked.removeprefix("bytes=").split("-"))
            data, status = CONTENT[first : last + 1], 206
        is_read = len(data) > 1 and (
            status == 206 or self.headers.get("Accept-Encoding") != "identity"
        )
        if is_read and served < int(said.get("drop") or 0):
            self.requests[self.path] += 1
            self.answer(status, data, len(data) // 2)
            self.close_connection = True
        else:
            self.answer(status, data)

    def answer(self, status: int, data: bytes, sent: int | None = None) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:sent])
            self.wfile.flush()
        except ConnectionError:  # the client had read enough
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    Handler.requests = {}
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace pauses by a list of their lengths."""
    found: list[float] = []
    monkeypatch.setattr(remote, "_wait", lambda seconds, stop: found.append(seconds))
    return found


@pytest.mark.parametrize("name", ["ab::c.jsonl", "<x>.jsonl", "x?token=1.jsonl", "http:c.jsonl"])
def test_a_local_file_is_one_whatever_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(CONTENT)
    assert [span.path for span in find(name)] == [name]
    assert [span.path for span in find(".")] == [name]
    assert read(find(name), Format()) == TEXTS


@pytest.mark.parametrize("query", ["?token=x", "?X-Amz-Signature=%2F*[a]&b=c.txt", "?a/b.md"])
@pytest.mark.parametrize("ranges", ["ranges/", ""])
def test_an_address_with_a_query_is_no_pattern(server: str, query: str, ranges: str) -> None:
    url = f"{server}/query/{ranges}a.jsonl{query}"
    assert find(url) == [Span(url, 0, len(CONTENT), len(CONTENT))]
    assert can_split(url, Format()) == bool(ranges)
    assert read(find(url), Format()) == TEXTS


def test_only_what_is_no_query_of_another_scheme_is_a_pattern() -> None:
    for url in ("s3://bucket/a?.jsonl", "memory://a/[ab].jsonl", "https://host/*/a.jsonl?b=c"):
        assert remote.is_pattern(url)
    for url in ("s3://bucket/a.jsonl?versionId=1?", "https://[::1]:80/a.jsonl", "hf://a/b.jsonl"):
        assert not remote.is_pattern(url)
    assert kind_of("s3://bucket/a.jsonl.gz?versionId=b.txt") == kind_of("a.jsonl.gz")


def test_schemes_ignore_case(server: str) -> None:
    (span,) = find(f"{server.replace('http', 'HTTP')}/case/a.jsonl")
    assert span.path == f"{server}/case/a.jsonl"
    assert remote.normal_url("SimpleCache::S3://Bucket/A") == "simplecache::s3://Bucket/A"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, r"no such file \(HTTP 404\); check the address"),
        (410, r"no such file \(HTTP 410\)"),
        (401, r"the server forbids it \(HTTP 401\); check the credentials"),
        (403, r"the server forbids it \(HTTP 403\); check the credentials"),
        (500, r"the server failed 6 times, the last time \(HTTP 500\); try again later"),
        (503, r"the server failed 6 times, the last time \(HTTP 503\)"),
        (400, r"cannot be opened: .*400"),
    ],
)
def test_each_status_has_its_own_sentence(server: str, status: int, message: str) -> None:
    url = f"{server}/status-{status}/a.jsonl"
    with pytest.raises(InvalidInput, match=message) as caught:
        find(url)
    assert str(caught.value).startswith(f"{url}: ")


def test_a_server_that_is_refused_or_not_found_has_its_own_sentence(
    pauses: list[float],
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(InvalidInput, match="the connection was refused: nothing answers"):
        find(f"http://127.0.0.1:{port}/a.jsonl")
    with pytest.raises(InvalidInput, match=r"^ftp://.*: the connection was refused: nothing"):
        find(f"ftp://127.0.0.1:{port}/a.jsonl")
    for error in (socket.gaierror(-2, "Name or service not known"), TimeoutError("slow")):
        with pytest.raises(
            InvalidInput, match=r"the server cannot be reached \((gai|Timeout)[eE]rror"
        ):
            remote.repeated("http://host/a.jsonl", raising(FileNotFoundError(), error))
    assert not pauses  # a wrong address is not tried again


def raising(error: Exception, cause: Exception | None = None) -> object:
    def request() -> None:
        raise error from cause

    return request


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError("Access Denied"), "the server forbids it; "),
        (FileNotFoundError("bucket"), "no such file; "),
        (OSError(113, "No route to host"), "the server cannot be reached"),
        (ConnectionResetError(104, "reset"), "the connection was dropped 6 times, the last time"),
    ],
)
def test_faults_of_other_file_systems_have_the_same_sentences(
    error: Exception, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        remote.repeated("s3://bucket/a.jsonl", raising(error))


def test_a_busy_server_is_asked_again_after_pauses_that_grow(
    server: str, pauses: list[float]
) -> None:
    with pytest.raises(InvalidInput, match="empty file"):
        prepare(f"{server}/status-503/first-3/a.jsonl", "unused", progress=False)
    assert [0.5, 1.0, 2.0] == sorted(pauses)[:3] == pauses[:3]


@pytest.mark.parametrize("ranges", ["ranges/", ""])
def test_a_dropped_connection_is_resumed_where_it_was(
    server: str, ranges: str, pauses: list[float]
) -> None:
    spans = find(f"{server}/drop-3/{ranges}a.jsonl")
    assert read(spans, Format()) == TEXTS
    assert len(pauses) >= 3  # more if a connection that is kept is closed at the same moment


@pytest.mark.parametrize("ranges", ["ranges/", ""])
def test_a_connection_that_is_always_dropped_is_named_with_the_place(
    server: str, ranges: str, pauses: list[float]
) -> None:
    url = f"{server}/drop-99/{ranges}a.jsonl"
    spans = find(url)
    message = r"a\.jsonl: the connection was dropped 6 times at byte \d+, the last time \("
    with pytest.raises(InvalidInput, match=message) as caught:
        read(spans, Format())
    assert "\n" not in str(caught.value)
    assert pauses[-5:] == [0.5, 1.0, 2.0, 4.0, 8.0]


def test_a_pause_ends_when_the_job_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    stop = StopFlag()
    stop.set()
    with pytest.raises(Stopped):
        remote.repeated("s3://b/a.jsonl", raising(ConnectionResetError()), stop)


def test_a_parquet_file_is_read_from_a_server_with_ranges(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"text": ["one", "two"]}), tmp_path / "a.parquet")
    monkeypatch.setattr(f"{__name__}.CONTENT", (tmp_path / "a.parquet").read_bytes())
    assert read(find(f"{server}/ranges/table.parquet"), Format()) == [b"one", b"two"]


def test_folders_and_patterns_of_urls_pass_over_what_those_of_files_do() -> None:
    system = fsspec.filesystem("memory")
    for name in ("a.jsonl", "b.md", "c.json", "_d/e.jsonl", ".f.jsonl"):
        system.pipe(f"/passed/{name}", CONTENT)
    try:
        for url, names in (
            ("memory://passed/", {"b.md", "c.json", "e.jsonl", ".f.jsonl"}),
            ("memory://passed/**", {"b.md", "e.jsonl", ".f.jsonl"}),
        ):
            passed = Tally()
            files = [span.path.rpartition("/")[2] for span in find(url, passed=passed)]
            assert files == ["a.jsonl", "c.json"][: len(files)]
            assert {n.rpartition("/")[2] for r in passed.records() for n in r.names} == names
        assert [span.path[-7:] for span in find("memory://passed/_d/*")] == ["e.jsonl"]
        with pytest.raises(InvalidInput, match=r"a\.jsonl: input 2"):
            find(["memory://passed/a.jsonl", "MEMORY://passed/a.jsonl"])
    finally:
        system.rm("/passed", recursive=True)


def test_a_file_url_is_the_path_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(CONTENT)
    assert find(f"FILE://{tmp_path}/a.jsonl") == find(tmp_path / "a.jsonl")
    with pytest.raises(InvalidInput, match="name each file once"):
        find([tmp_path, f"file://{tmp_path}/a.jsonl"])


@pytest.mark.parametrize("scheme", ["s3", "memory", "file", "HTTPS", "hf"])
def test_a_url_is_refused_wherever_a_local_path_is_taken(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("One.")
    url = f"{scheme}://bucket/x"
    for call in calls_with_a_local_path(url):
        with pytest.raises(InvalidInput, match=rf"{url}: .* must be on this machine, not at a URL"):
            call()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("name", [""])
def test_an_empty_name_is_refused_wherever_a_path_is_taken(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("One.")
    calls = calls_with_a_local_path(name) + calls_with_a_store(name)
    calls.append(lambda: prepare("a.txt", name, progress=False))
    for call in (*calls, lambda: prepare(["a.txt", name], "s", progress=False)):
        with pytest.raises(InvalidInput, match="is an empty name; pass"):
            call()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def calls_with_a_store(path: str) -> list[object]:
    """Return a call of every function that takes a store, which may be at a URL."""
    from fastprep import export_store, verify
    from fastprep.report.page import write_report
    from fastprep.windows.tokens import open_tokens

    return [
        lambda: TokenStore(path),
        lambda: open_tokens(path),
        lambda: verify(path),
        lambda: export_store(path, format="nanogpt", output="x"),
        lambda: write_report(path, "x.html"),
    ]


def calls_with_a_local_path(path: str) -> list[object]:
    """Return a call of every function that takes a path of this machine."""
    from fastprep import Encoding, get_encoding, import_tokens, load
    from fastprep.jobs.prepare import merge_tasks
    from fastprep.words.encoding import WordEncoding

    gpt2 = get_encoding("gpt2")
    return [
        lambda: merge_tasks(path),
        lambda: import_tokens(path, "x", format="nanogpt", encoding="gpt2"),
        lambda: import_tokens("a.txt", path, format="nanogpt", encoding="gpt2"),
        lambda: gpt2.encode_file(path, "x"),
        lambda: gpt2.encode_file("a.txt", path),
        lambda: gpt2.save(path),
        lambda: Encoding.from_file(path),
        lambda: WordEncoding.from_file(path),
        lambda: load.dump_tiktoken_bpe({b"a": 0}, path),
    ]


def test_a_package_that_a_scheme_needs_is_named_with_the_extra() -> None:
    try:
        import s3fs  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(
            MissingExtra, match=r"s3://b/a\.jsonl: .*pip install 'fastprep\[remote\]'"
        ):
            find("s3://b/a.jsonl")
