"""The page about a store: its numbers are the store's, and text of documents is escaped."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest

import fastprep
from fastprep.cli.main import main
from fastprep.encoding.token_html import grouped, spans, visible
from fastprep.errors import InvalidInput, InvalidStore
from fastprep.report.counts import LONG, count
from fastprep.report.page import write_report
from fastprep.store.reader import TokenStore

pytest.importorskip("matplotlib", reason="the report's plots need fastprep[report]")

HOSTILE = [
    "</b></div></body></html><script>alert(1)</script>",
    "<img src=x onerror=alert(1)> & &amp; \" ' `",
    "<!-- <![CDATA[ ]]> --> <style>*{display:none}</style>",
    "\0\x01\x0b\x0c\x1b\x7f\x85\u2028\u202e\u200b\ufeff\ufffe\U000e0001\U0010ffff\r\n\t",
    "東京 🙂 👩‍👩‍👧 é " * 30,
    "",
    "<|endoftext|>",
]
VOID = {"meta", "br"}


class Page(HTMLParser):
    """A parser that checks that every element is closed, and collects tables and text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.rows: list[list[str]] = []
        self.cards: dict[str, str] = {}
        self.text = ""
        self.samples: list[str] = []
        self._label = ""
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.attributes += attrs
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "article":
            self.samples.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data
        if "article" in self.open:
            self.samples[-1] += data
        if self.open[-1:] == ["dt"]:
            self._label = data
        if self.open[-1:] == ["dd"]:
            self.cards[self._label] = data


def make(directory: Path, texts: list[str], **options: object) -> TokenStore:
    lines = [msgspec.json.encode({"text": text}) for text in texts]
    (directory / "a.jsonl").write_bytes(b"\n".join(lines))
    return fastprep.prepare(
        directory / "a.jsonl",
        directory / "store",
        workers=1,
        shard_bytes=600,
        progress=False,
        **options,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    return make(tmp_path_factory.mktemp("hostile"), HOSTILE * 3)


@pytest.fixture(scope="module")
def page(store: TokenStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(store, tmp_path_factory.mktemp("page") / "page.html", samples=21)


def test_counts_are_those_of_the_store(store: TokenStore) -> None:
    counted = count(store)
    sizes = np.diff(store.document_ends.astype(np.int64), prepend=0)
    assert counted.ids.tolist() == np.bincount(store[:], minlength=store.vocab_size).tolist()
    assert counted.lengths.tolist() == np.bincount(sizes, minlength=LONG + 1).tolist()
    assert counted.longest == sizes.max()
    for part in (0.0, 0.5, 0.9, 0.99, 1.0):
        reached = np.count_nonzero(sizes <= counted.quantile(part)) / len(sizes)
        assert reached >= part


def test_lengths_beyond_the_last_bin_are_counted_together(tmp_path: Path) -> None:
    ids = np.full(LONG + 8, 7, np.uint16)
    ids[[LONG + 5, LONG + 7]] = 50256
    ids.tofile(tmp_path / "train.bin")
    counted = count(
        fastprep.import_tokens(
            tmp_path / "train.bin", tmp_path / "store", format="nanogpt", encoding="gpt2"
        )
    )
    assert (counted.lengths[LONG], counted.lengths[2]) == (1, 1)
    assert counted.longest == LONG + 6


def test_the_pages_numbers_are_the_stores(store: TokenStore, page: Path) -> None:
    shown = Page(page.read_text(encoding="utf-8"))
    ids = store[:]
    occurring = np.bincount(ids, minlength=store.vocab_size)
    text_bytes = sum(len(text.encode()) for text in HOSTILE) * 3
    ordinary = len(ids) - store.num_documents
    assert shown.cards["tokens"] == f"{len(ids):,}"
    assert shown.cards["documents"] == "21"
    assert shown.cards["bytes per token"] == f"{text_bytes / ordinary:.3f}"
    assert shown.cards["vocabulary used"] == f"{100 * (occurring > 0).mean():.1f}%"
    assert shown.cards["shards"] == str(len(store.manifest.shards))
    order = np.argsort(-occurring, kind="stable")
    frequent = shown.rows[1:61]
    assert [int(row[1]) for row in frequent] == order[:60].tolist()
    assert [int(row[3].replace(",", "")) for row in frequent] == occurring[order[:60]].tolist()
    never = np.count_nonzero(occurring == 0)
    assert f"{never:,} of 50,257 tokens do not occur; the first 400" in shown.text
    shards = shown.rows[-len(store.manifest.shards) :]
    for row, shard in zip(shards, store.manifest.shards, strict=True):
        assert row[1:3] == [f"{shard.tokens:,}", f"{shard.documents:,}"]
    settings = dict(row for row in shown.rows if len(row) == 2)
    assert settings["rank table, sha256"] == store.manifest.encoding.rank_table_sha256
    assert settings["pattern"] == store.manifest.encoding.pattern
    assert settings["end token"] == "50256, at the end of each document"


@pytest.mark.parametrize(
    ("eot", "expected"),
    [("prepend", "50256, at the beginning of each document"), ("none", "none")],
)
def test_the_page_says_where_the_end_token_is(eot: str, expected: str, tmp_path: Path) -> None:
    store = make(tmp_path, ["One."], eot=eot)
    shown = Page(write_report(store, tmp_path / "page.html").read_text(encoding="utf-8"))
    assert dict(row for row in shown.rows if len(row) == 2)["end token"] == expected


def test_hostile_documents_stay_text(page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    shown = Page(content)
    assert not {"script", "img", "iframe", "link", "object"} & set(shown.tags)
    assert shown.tags["style"] == shown.tags["html"] == shown.tags["body"] == 1
    assert not [name for name, _ in shown.attributes if name.startswith("on")]
    assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028\u202e\ufeff\ufffe]", content)
    places = [value or "" for name, value in shown.attributes if name.endswith(("href", "src"))]
    assert all(place.startswith("#") for place in places)
    assert len(shown.ids) == len(set(shown.ids))
    assert {place[1:] for place in places} <= set(shown.ids)
    for text in (HOSTILE[0], HOSTILE[1], HOSTILE[2]):
        assert any(f"{text}<|endoftext|>" in sample for sample in shown.samples)


def test_the_page_is_the_same_each_time(store: TokenStore, page: Path, tmp_path: Path) -> None:
    again = write_report(store.path, tmp_path / "again.html", samples=21)
    assert again.read_bytes() == page.read_bytes()


def test_a_browser_shows_the_page_without_a_complaint(page: Path, tmp_path: Path) -> None:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(names)} is installed")
    picture = tmp_path / "page.png"
    options = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}"),
    ]
    try:
        done = subprocess.run(
            [browser, *options, f"--screenshot={picture}", page.as_uri()],
            capture_output=True,
            check=False,
            timeout=120,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{browser} has not shown the page within two minutes")
    if not picture.exists():
        pytest.skip(f"{browser} cannot run here: {done.stderr[-300:]!r}")
    assert b"CONSOLE" not in done.stderr, done.stderr
    assert picture.stat().st_size > 10_000  # an empty page of this size has 4,000


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a b", "a b"),
        (b"\xe6\x9d", "<i>e6 9d</i>"),
        (b"\r", "<i>U+000D</i>"),
        ("\ud800", "<i>U+D800</i>"),
        ("\u00a0", "<i>U+00A0</i>"),
        ("&<>\"'", "&amp;&lt;&gt;&quot;&#x27;"),
        (b"", ""),
    ],
)
def test_invisible_characters_are_shown_by_their_code(content: bytes | str, expected: str) -> None:
    assert visible(content) == expected


def test_tokens_that_share_a_character_are_one_group() -> None:
    encoding = fastprep.get_encoding("gpt2")
    for text in ("東京 ɐ 🙂x", "ab", ""):
        ids = encoding.encode(text)
        groups = list(grouped(ids, encoding.decode_single_token_bytes))
        assert [number for group in groups for number in group.ids] == ids
        assert "".join(group.text or "?" for group in groups) == text
    broken = {0: b"\xff", 1: b"a", 2: b"\xe6"}
    found = grouped([2, 1, 0, 0, 2], broken.__getitem__)
    assert [group.ids for group in found] == [(2,), (1,), (0,), (0,), (2,)]
    shown = spans([2, 1], broken.__getitem__, frozenset())
    assert shown == '<b data-t="2: e6"><i>e6</i></b><b data-t="1">a</b>'


def test_info_writes_the_page_and_refuses_a_wrong_encoding(
    store: TokenStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "a.html"
    assert main(["info", str(store.path), "--report", str(target)]) == 0
    assert "documents          21\n" in capsys.readouterr().out
    assert Page(target.read_text(encoding="utf-8")).cards["documents"] == "21"
    with pytest.raises(InvalidInput, match="there is no directory"):
        write_report(store, tmp_path / "none" / "a.html")
    with pytest.raises(InvalidInput, match="made with another encoding"):
        write_report(store, target, encoding=fastprep.get_encoding("cl100k_base"))
    with pytest.raises(SystemExit):
        main(["info", str(store.path), "--pattern", "r50k"])


def test_a_damaged_store_has_no_page(tmp_path: Path) -> None:
    made = make(tmp_path, ["One.", "Two."])
    path = made.shard_files[0]
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    with pytest.raises(InvalidStore, match="do not have the checksum that the manifest records"):
        write_report(made, tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()


def test_a_store_of_a_few_tokens_has_a_page(tmp_path: Path) -> None:
    for number, (texts, eot) in enumerate([([""], "append"), (["a"], "none")]):
        made = make(tmp_path, texts, eot=eot, overwrite=True)
        page = write_report(made, tmp_path / f"{number}.html")
        assert Page(page.read_text(encoding="utf-8")).cards["tokens"] == "1"
    made = make(tmp_path, [""], eot="none", overwrite=True)
    with pytest.raises(InvalidInput, match="nothing to show"):
        write_report(made, tmp_path / "none.html")


def test_id_outside_the_vocabulary_is_an_error_that_names_its_place(tmp_path):
    (tmp_path / "two.txt").write_text("One.<|endoftext|>Two.")
    store = fastprep.prepare(tmp_path / "two.txt", tmp_path / "store", eot="none", progress=False)
    assert store[:].tolist() == [3198, 13, 7571, 13]
    manifest = tmp_path / "store" / "manifest.json"
    facts = msgspec.json.decode(manifest.read_bytes())
    facts["n_vocab"] = 5000
    facts["shards"][0]["max_id"] = 3198
    manifest.write_bytes(msgspec.json.encode(facts))
    with pytest.raises(InvalidStore, match=r"bin: token 2 is 7571, outside the vocabulary of 5000"):
        count(TokenStore(tmp_path / "store"))
