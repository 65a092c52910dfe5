"""Conversations: their ids and masks are those of transformers, in every input, store and command."""

from __future__ import annotations

import json
import pickle
import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizer_styles import gpt2_style
from tokenizers import Tokenizer

from fastprep import Encoding, get_encoding
from fastprep.chat.encoder import ChatEncoder
from fastprep.chat.templates import JinjaTemplate
from fastprep.checks.verification import verify
from fastprep.cli.main import main
from fastprep.errors import (
    BadConversation,
    InvalidArgument,
    InvalidInput,
    InvalidStore,
    OtherJob,
    StoreExists,
)
from fastprep.exchange.exports import export_store
from fastprep.jobs.estimate import estimate
from fastprep.jobs.prepare import prepare
from fastprep.store.reader import TokenStore

CHATML = """{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.role == 'assistant' %}
    {%- generation %}{{ message.content }}{{ '<|im_end|>' }}{%- endgeneration %}{{ '\\n' }}
    {%- else %}{{- message.content + '<|im_end|>\\n' }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
#: The same text without blocks, so that the assistant's part follows from renderings.
UNMARKED = CHATML.replace("{%- generation %}", "{%- if true %}")
UNMARKED = UNMARKED.replace("{%- endgeneration %}", "{%- endif %}")
#: Blocks that begin and end in the middle of tokens, trimmed, and with the beginning of the text.
INNER = (
    "{{ bos_token }}{% for m in messages %}{{ m.role }}: {% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content | trim }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}"
    "{% endfor %}"
)
WORDS = [
    "tea",
    " the",
    "  two",
    "\n\n",
    "naïve",
    " 東京",
    "😀",
    "👩‍👩‍👧",
    "e\u0301",
    " 1234",
    "'ll",
]
WORDS += ["<|im_end|>", "<|endoftext|>", "<think>", "</s>", "\t", "\r\n", " ", "<|im_st", "art|>"]


def say(*contents: str, first: str = "user") -> list[dict[str, Any]]:
    roles = ["user", "assistant"] if first == "user" else ["assistant", "user"]
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]


def random_chat(number: int) -> list[dict[str, Any]]:
    draw = random.Random(number)
    return [
        {
            "role": draw.choice(["user", "system", "assistant"]),
            "content": "".join(draw.choices(WORDS, k=draw.randrange(9))),
        }
        for _ in range(draw.randrange(1, 7))
    ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a small model: a vocabulary, and its template in the configuration."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer: Tokenizer = gpt2_style()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens(["<think>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"chat_template": CHATML, "bos_token": {"content": "<|endoftext|>"}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def encoding(model: Path) -> Encoding:
    return Encoding.from_file(model / "tokenizer.json")


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    path = tmp_path / "chats.jsonl"
    lines = [say(f"What is {n}?", f"A number: {n}.", "Thanks", "é😀" * n) for n in range(12)]
    path.write_text("".join(json.dumps({"messages": one}) + "\n" for one in lines))
    return path


def make(source: Any, output: Path, encoding: Encoding, **settings: Any) -> TokenStore:
    found = prepare(
        source,
        output,
        encoding=encoding,
        messages="messages",
        progress=False,
        **{"shard_bytes": 400, **settings},
    )
    assert found is not None
    return found


def contents(output: Path) -> dict[str, bytes]:
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }


def trained_text(chats: ChatEncoder, encoding: Encoding, messages: Any) -> str:
    ids, mask = chats.encode(json.dumps(messages).encode())
    return encoding.decode([token for token, own in zip(ids, mask, strict=True) if own])


# -- ids and masks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("template", [CHATML, INNER])
def test_ids_and_mask_are_those_of_transformers(
    model: Path, encoding: Encoding, template: str
) -> None:
    transformers = pytest.importorskip("transformers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(model / "tokenizer.json"), bos_token="<|endoftext|>"
        )
        chats = ChatEncoder(encoding, template, {"bos_token": "<|endoftext|>"}, special_text=True)
        for number in range(80):
            messages = random_chat(number)
            expected = tokenizer.apply_chat_template(
                messages,
                chat_template=template,
                tokenize=True,
                return_dict=True,
                return_assistant_tokens_mask=True,
            )
            ids, mask = chats.encode(json.dumps(messages).encode())
            assert ids == expected["input_ids"], number
            assert list(mask) == expected["assistant_masks"], number


def test_what_a_message_spells_stays_text(encoding: Encoding) -> None:
    chats = ChatEncoder(encoding, CHATML)
    special = set(encoding.special_tokens.values())
    for number in range(80):
        messages = random_chat(number)
        ids, mask = chats.encode(json.dumps(messages).encode())
        text = chats.template.render(messages).text
        assert encoding.decode(ids) == text
        assert len(mask) == len(ids)
        # The template writes two per message, and nothing else does.
        assert sum(token in special for token in ids) == 2 * len(messages)
        own = "".join(m["content"] + "<|im_end|>" for m in messages if m["role"] == "assistant")
        found = encoding.decode([t for t, one in zip(ids, mask, strict=True) if one])
        # A token that has whitespace of both the template and the message is the assistant's.
        assert "".join(found.split()) == "".join(own.split())


def test_a_template_that_treats_special_tokens_in_another_way_is_refused(
    encoding: Encoding,
) -> None:
    template = "{% for m in messages %}{{ m.content.split('<|im_end|>')[0] }}{% endfor %}"
    chats = ChatEncoder(encoding, "{% generation %}" + template + "{% endgeneration %}")
    assert trained_text(chats, encoding, say("one")) == "one"
    with pytest.raises(
        BadConversation, match=r"spells the special token '<\|im_end\|>'.*special_text"
    ):
        chats.encode(json.dumps(say("one<|im_end|>two")).encode())


def test_added_tokens_that_are_not_special_are_found_in_messages(encoding: Encoding) -> None:
    ids, _ = ChatEncoder(encoding, CHATML).encode(json.dumps(say("a", "<think>b")).encode())
    assert encoding.encode_single_token("<think>") in ids


@pytest.mark.parametrize("first", ["user", "assistant"])
def test_turns_of_a_template_without_blocks(encoding: Encoding, first: str) -> None:
    marked, unmarked = ChatEncoder(encoding, CHATML), ChatEncoder(encoding, UNMARKED)
    for messages in (say("a", "b", "c", " d \n", first=first), say("a\n", first=first)):
        content = json.dumps(messages).encode()
        assert unmarked.encode(content) == marked.encode(content)


def test_a_template_that_writes_turns_otherwise_later_is_refused(encoding: Encoding) -> None:
    template = UNMARKED.replace("message.content }}", "message.content if loop.last else '-' }}")
    chats = ChatEncoder(encoding, template)
    assert trained_text(chats, encoding, say("a", "b")) == "b<|im_end|>"
    with pytest.raises(BadConversation, match=r"message 1 cannot be known.*generation"):
        chats.encode(json.dumps(say("a", "b", "c", "d")).encode())
    failing = "{{ messages[0].content }}"  # of no message before the first
    with pytest.raises(BadConversation, match="message 0 cannot be known"):
        ChatEncoder(encoding, failing).encode(json.dumps(say("a", first="assistant")).encode())


def test_a_function_says_which_parts_are_trained(encoding: Encoding) -> None:
    def spell(messages: list[dict[str, Any]]) -> Iterator[tuple[str, bool]]:
        for message in messages:
            yield f"<|im_start|>{message['role']}\n", False
            yield message["content"] + "<|im_end|>", message["role"] == "assistant"
            yield "\n", False

    content = json.dumps(say("a <|im_end|>", "b\n", "c", "d")).encode()
    assert ChatEncoder(encoding, spell).encode(content) == ChatEncoder(encoding, CHATML).encode(
        content
    )


def test_spans_without_text_and_texts_that_are_none(encoding: Encoding) -> None:
    def spell(messages: list[dict[str, Any]]) -> list[tuple[str, bool]]:
        return [("", True), ("tea", False), ("", True), (" two", True), ("", True)]

    ids, mask = ChatEncoder(encoding, spell).encode(json.dumps(say("a")).encode())
    own = len(encoding.encode(" two"))
    assert list(mask) == [0] * (len(ids) - own) + [1] * own
    leading = "{% generation %}{% endgeneration %}tea"
    ids, mask = ChatEncoder(encoding, leading).encode(json.dumps(say("a")).encode())
    assert not any(mask)
    with pytest.raises(BadConversation, match="lone surrogate"):
        ChatEncoder(encoding, lambda messages: [("\ud83d", True)]).encode(
            json.dumps(say("a")).encode()
        )
    with pytest.raises(BadConversation, match="no text of it"):
        ChatEncoder(encoding, lambda messages: []).encode(json.dumps(say("a")).encode())


def test_a_block_whose_place_is_not_known_is_refused(encoding: Encoding) -> None:
    template = "x{% set y %}{% generation %}a{% endgeneration %}{% endset %}z{{ y }}"
    with pytest.raises(BadConversation, match="in a macro, or in a set"):
        ChatEncoder(encoding, template).encode(json.dumps(say("a")).encode())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "empty"),
        ("{}", "an object, not a list"),
        ("null", "null, not a list"),
        ('"text"', "a text, not a list"),
        ("[5]", "message 0 is a number"),
        ('[{"content": "a"}]', "message 0 has no role; it has content"),
        ('[{"role": 5, "content": "a"}]', "its role is a number"),
        ('[{"role": "user"}]', "of the user, has no content"),
        ('[{"role": "user", "content": null}]', "has no content"),
        ('[{"role": "user", "content": 5}]', "its content is a number"),
        ('[{"role": "user", "content": [5]}]', "a part of its content is a number"),
        (
            '[{"role": "user", "content": "a"}, {"role": "king", "content": "a"}]',
            "message 1.*'king'",
        ),
        ('[{"from": "human", "value": "a"}, {"from": "bard", "value": "b"}]', "from 'bard'"),
        ('[{"from": "human"}]', "has no content"),
        (
            '[{"role": "user", "content": ' + "[" * 700 + "]" * 700 + "}]",
            "template fails|nested|part",
        ),
        ('[{"role": "user", "content": ["a"]}]', "template fails on it.*TypeError"),
    ],
)
def test_faults_name_file_line_and_remedy(
    chats: Path, tmp_path: Path, encoding: Encoding, content: str, words: str
) -> None:
    good = chats.read_text().splitlines(keepends=True)
    chats.write_text("".join([*good[:2], f'{{"messages": {content}}}\n', *good[2:]]))
    with pytest.raises(BadConversation, match=f"chats.jsonl, line 3: .*{words}"):
        make(chats, tmp_path / "store", encoding)
    store = make(chats, tmp_path / "store", encoding, on_error="skip")
    assert store.num_documents == len(good)
    bad = [each for shard in store.manifest.shards for each in shard.bad]
    assert [each.place for each in bad] == [f"{chats}, line 3"]
    assert verify(store).documents == len(good)


def test_share_gpt_and_reasoning(encoding: Encoding) -> None:
    chats = ChatEncoder(encoding, CHATML)
    share = [{"from": "system", "value": "s"}, {"from": "human", "value": "a"}]
    share += [{"from": "gpt", "value": "b", "weight": 1}]
    plain = [{"role": "system", "content": "s"}, *say("a", "b")]
    assert chats.encode(json.dumps(share).encode()) == chats.encode(json.dumps(plain).encode())
    template = JinjaTemplate("{{ messages[0].reasoning_content }}")
    chats = ChatEncoder(encoding, template.name)
    ids, _ = chats.encode(b'[{"role": "user", "thinking": "why"}]')
    assert encoding.decode(ids) == "why"


def test_json_that_only_python_reads(tmp_path: Path, encoding: Encoding) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "\\ud83d", "score": NaN}]}\n')
    assert "�" in make(path, tmp_path / "store", encoding, template=CHATML).text(0)
    (tmp_path / "b.jsonl").write_bytes(b'{"messages": [{"role": "user", "content": "\xff"}]}\n')
    with pytest.raises(InvalidInput, match=r"line 1.*0xff is not UTF-8"):
        make(tmp_path / "b.jsonl", tmp_path / "other", encoding, template=CHATML)


# -- templates -------------------------------------------------------------------------------------


def test_templates_come_from_text_files_and_beside_the_vocabulary(
    model: Path, tmp_path: Path, encoding: Encoding
) -> None:
    content = json.dumps(say("a", "b")).encode()
    expected = ChatEncoder(encoding, CHATML).encode(content)
    (tmp_path / "chat_template.jinja").write_text(CHATML)
    named = [{"name": "tools", "template": "x"}, {"name": "default", "template": CHATML}]
    (tmp_path / "named.json").write_text(json.dumps({"chat_template": named}))
    (tmp_path / "none.json").write_text("{}")
    (tmp_path / "wrong.json").write_text(json.dumps({"chat_template": named[:1]}))
    for template in (None, model, tmp_path, tmp_path / "chat_template.jinja"):
        assert ChatEncoder(encoding, template).encode(content) == expected
    assert ChatEncoder(encoding, str(tmp_path / "named.json")).encode(content) == expected
    bos = ChatEncoder(encoding, "{{ bos_token }}{{ messages[0].content }}").template
    assert bos.variables == {"bos_token": "<|endoftext|>"}
    for template, words in [
        (tmp_path / "none.json", "no chat template"),
        (tmp_path / "wrong.json", "none is named 'default'"),
        (tmp_path / "missing.jinja", "no such file"),
        ("{% for %}", "line 1: Jinja refuses it"),
        (5, "pass the text of a template"),
    ]:
        with pytest.raises(InvalidArgument, match=words):
            ChatEncoder(encoding, template)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match=r"no chat template.*pass one as template"):
        ChatEncoder(get_encoding("gpt2"), None)


def test_variables_and_the_date(encoding: Encoding) -> None:
    template = "{{ strftime_now('%d %b %Y') if day else mood }}"
    content = json.dumps(say("a")).encode()
    ids, _ = ChatEncoder(encoding, template, {"mood": "glad"}).encode(content)
    assert encoding.decode(ids) == "glad"
    dated = {"day": True, "strftime_now": "2026-07-26"}
    ids, _ = ChatEncoder(encoding, template, dated).encode(content)
    assert encoding.decode(ids) == "26 Jul 2026"
    tools = ChatEncoder(encoding, "{{ tools | tojson }}", {"tools": [{"name": "é"}]})
    assert encoding.decode(tools.encode(content)[0]) == '[{"name": "é"}]'
    with pytest.raises(InvalidArgument, match="date of today"):
        ChatEncoder(encoding, template, {"day": True}).encode(content)
    for wrong in ({"messages": 1}, {"a": object()}, 5):
        with pytest.raises(InvalidArgument, match="template_variables"):
            ChatEncoder(encoding, template, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ namespace(__init__=1) }}",
        "{{ raise_exception('no') }}",
        "{{ range(10 ** 9) }}",
        "{{ messages[0].content + 1 }}",
    ],
)
def test_templates_run_in_a_sandbox(encoding: Encoding, attack: str) -> None:
    with pytest.raises(BadConversation, match="chat template fails"):
        ChatEncoder(encoding, attack).encode(json.dumps(say("a")).encode())


# -- stores ----------------------------------------------------------------------------------------


def test_all_inputs_give_the_same_store(chats: Path, tmp_path: Path, encoding: Encoding) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [json.loads(line) for line in chats.read_text().splitlines()]
    table = pa.Table.from_pylist(rows)
    parquet.write_table(table, tmp_path / "a.parquet")
    with (
        pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as out,
    ):
        out.write_table(table)
    (tmp_path / "a.json").write_text(json.dumps(rows, indent=1))
    quoted = ['"' + json.dumps(row["messages"]).replace('"', '""') + '"\n' for row in rows]
    (tmp_path / "a.csv").write_text("messages\n" + "".join(quoted))
    whole = {"shard_bytes": 1 << 20}
    store = make(chats, tmp_path / "store", encoding, **whole)
    sources = [tmp_path / f"a.{kind}" for kind in ("parquet", "arrow", "json", "csv")]
    for number, source in enumerate([*sources, table, iter(rows)]):
        other = make(source, tmp_path / str(number), encoding, **whole)
        assert other == store
        assert (other.shard_mask(0) == store.shard_mask(0)).all()
    with pytest.raises(InvalidInput, match="holds int64, not messages, in the"):
        make(pa.table({"messages": [5]}), tmp_path / "wrong", encoding)


def test_bytes_depend_on_inputs_and_settings_only(
    chats: Path, tmp_path: Path, encoding: Encoding
) -> None:
    lines = chats.read_text().splitlines(keepends=True)
    chats.write_text("".join([*lines, '{"messages": []}\n', *lines, '{"messages": 5}\n']))
    settings = {"on_error": "skip"}
    store = make(chats, tmp_path / "store", encoding, workers=1, **settings)
    assert store.num_shards > 2
    make(chats, tmp_path / "four", encoding, workers=4, block_bytes=100, **settings)
    # Interrupted after every second shard.
    more: dict[str, Any] = {"shard_bytes": 400, "progress": False, **settings}
    for number in (1, 0):
        share = (number, 2)
        prepare(
            chats, tmp_path / "shares", encoding=encoding, messages="messages", task=share, **more
        )
    assert (
        contents(tmp_path / "four") == contents(tmp_path / "shares") == contents(tmp_path / "store")
    )
    assert make(chats, tmp_path / "store", encoding, **settings) == store
    found = estimate(
        chats, encoding=encoding, messages="messages", on_error="skip", shard_bytes=400
    )
    assert (found.documents, found.tokens) == (store.num_documents, store.num_tokens)
    assert found.store_bytes == 3 * store.num_tokens + 8 * store.num_documents


def test_other_settings_are_another_job(
    chats: Path, tmp_path: Path, encoding: Encoding, gpt2: Encoding
) -> None:
    settings = {"progress": False, "shard_bytes": 400, "encoding": encoding}
    make(chats, tmp_path / "store", encoding)
    for changes, words in [
        ({"template": UNMARKED}, "template had the sha256"),
        ({"template_variables": {"a": 1}}, "variable a was None and is 1"),
        ({"special_text": True}, "special_text was False and is True"),
    ]:
        with pytest.raises(StoreExists, match=words):
            prepare(chats, tmp_path / "store", messages="messages", **settings, **changes)
    prepare(chats, tmp_path / "part", messages="messages", task=(0, 3), **settings)
    with pytest.raises(OtherJob, match="template had the sha256"):
        prepare(chats, tmp_path / "part", messages="messages", template=UNMARKED, **settings)
    with pytest.raises(OtherJob, match="were conversations and are texts"):
        prepare(chats, tmp_path / "part", field="messages", eot="none", **settings)
    again = prepare(chats, tmp_path / "part", messages="messages", **settings)
    assert contents(tmp_path / "part") == contents(tmp_path / "store")
    assert again is not None
    for wrong, words in [
        ({"eot": "none"}, "omit eot"),
        ({"eot_token": "<|endoftext|>"}, "omit eot"),
        ({"on_error": "replace"}, "nothing to replace"),
        ({"field": "x"}, "names the field of messages"),
        ({"fim_rate": 0.5, "fim_tokens": ["<think>"] * 3}, "not conversations"),
    ]:
        with pytest.raises(InvalidArgument, match=words):
            prepare(chats, tmp_path / "x", messages="messages", **settings, **wrong)
    with pytest.raises(InvalidArgument, match="messages"):
        prepare(chats, tmp_path / "x", template=CHATML, progress=False)


@pytest.mark.parametrize(
    "settings",
    [
        {"shuffle": 3},
        {"validation_documents": 4},
        {"validation": 0.4},
        {"shuffle": 1, "validation": 0.4},
    ],
)
def test_masks_follow_their_documents(
    chats: Path, tmp_path: Path, encoding: Encoding, settings: dict[str, Any]
) -> None:
    plain = make(chats, tmp_path / "plain", encoding)
    expected = {
        plain.document(n).tobytes(): plain.document_mask(n).tolist()
        for n in range(plain.num_documents)
    }
    first = make(chats, tmp_path / "store", encoding, **settings)
    names = ["train", "validation"] if "validation" in str(settings) else ["."]
    stores = [TokenStore(tmp_path / "store" / name) for name in names]
    assert first == stores[0]
    assert sum(store.num_documents for store in stores) == plain.num_documents
    for store in stores:
        verify(store)
        for number in range(store.num_documents):
            assert (
                store.document_mask(number).tolist() == expected[store.document(number).tobytes()]
            )


def test_append_and_index(chats: Path, tmp_path: Path, encoding: Encoding) -> None:
    store = make(chats, tmp_path / "store", encoding)
    more = tmp_path / "more.jsonl"
    more.write_text(chats.read_text())
    longer = make([chats, more], tmp_path / "store", encoding, append=True)
    assert longer.num_documents == 2 * store.num_documents
    assert (longer.document_mask(-1) == store.document_mask(-1)).all()
    verify(longer)
    with pytest.raises(OtherJob, match="template"):
        make([chats, more], tmp_path / "store", encoding, append=True, template=UNMARKED)
    # A template of 64 KiB makes a manifest that has an index.
    long = "{# " + "x" * (1 << 16) + " #}" + CHATML
    store = make(chats, tmp_path / "long", encoding, template=long)
    assert store.head.version == 3
    assert store.head.messages.template == long  # type: ignore[union-attr]
    verify(store)


def test_damage_is_found(chats: Path, tmp_path: Path, encoding: Encoding) -> None:
    store = make(chats, tmp_path / "store", encoding)
    path = store.shard_file(0, "mask")
    good = path.read_bytes()
    path.write_bytes(bytes([1 - good[0]]) + good[1:])
    with pytest.raises(InvalidStore, match=r"shard-00000.mask: bytes 0 to \d+ are damaged"):
        verify(store)
    path.write_bytes(good[:-1])
    with pytest.raises(InvalidStore, match=r"shard-00000.mask: \d+ bytes, but the manifest says"):
        TokenStore(store.path)
    path.unlink()
    with pytest.raises(InvalidStore, match=r"shard-00000.mask: missing"):
        TokenStore(store.path)


def test_views_and_exports(chats: Path, tmp_path: Path, encoding: Encoding) -> None:
    store = make(chats, tmp_path / "store", encoding)
    assert pickle.loads(pickle.dumps(store)) == store
    own = sum(int(store.shard_mask(k).sum()) for k in range(store.num_shards))
    assert f"{own}" in store._repr_html_()
    assert len(store.document_mask(-1)) == len(store.document(-1))
    pytest.importorskip("pyarrow")
    table = store.to_arrow()
    assert table["assistant_masks"][3].as_py() == store.document_mask(3).tolist()
    with pytest.raises(InvalidInput, match="megatron has no place for it"):
        export_store(store, format="megatron")
    with pytest.raises(InvalidInput, match="made of conversations"):
        verify(store, against="tokenizers")
    (tmp_path / "a.txt").write_text("text")
    plain = prepare(tmp_path / "a.txt", tmp_path / "plain", progress=False)
    assert not plain.has_mask
    with pytest.raises(InvalidInput, match="not made of conversations"):
        plain.document_mask(0)
    # Another mask makes another store.
    other = make(chats, tmp_path / "other", encoding, template=INNER)
    assert other != store


def test_stores_at_urls(
    chats: Path, tmp_path: Path, encoding: Encoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fsspec")
    monkeypatch.setenv("FASTPREP_CACHE", str(tmp_path / "cache"))
    url = f"memory://{tmp_path.name}/chats"
    assert prepare(chats, url, encoding=encoding, messages="messages", progress=False) is not None
    for path in (tmp_path / "cache").rglob("*.mask"):
        path.unlink()
    store = TokenStore(url)
    assert (
        store.document_mask(0).tolist()
        == make(chats, tmp_path / "store", encoding).document_mask(0).tolist()
    )
    verify(store)


# -- the command -----------------------------------------------------------------------------------


def test_commands(
    chats: Path, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.jinja").write_text(CHATML)
    words = ["prepare", chats, "-o", tmp_path / "store", "--messages", "messages"]
    words += ["--template", tmp_path / "t.jinja", "--encoding-file", model / "tokenizer.json"]
    words += ["--template-variables", '{"a": 1}']
    assert main([*map(str, words)]) == 0
    store = TokenStore(tmp_path / "store")
    assert store.head.messages.variables == {"a": 1}  # type: ignore[union-attr]
    capsys.readouterr()
    assert main(["info", str(store.path)]) == 0
    told = capsys.readouterr().out
    own = sum(int(store.shard_mask(k).sum()) for k in range(store.num_shards))
    assert f"assistant's tokens {own:,} of {store.num_tokens:,}" in told
    assert f"Jinja, {len(CHATML)} characters" in told
    assert main(["show", str(store.path), "1", "--tokens"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.endswith("\tassistant") for line in lines].count(True) > 0
    with pytest.raises(SystemExit):
        main([*map(str, [*words, "--template-variables", "5"])])
    assert "object of JSON" in capsys.readouterr().err


def test_word_tokenizers_are_refused(chats: Path, tmp_path: Path) -> None:
    from fastprep import SimpleTokenizerV2, build_vocab

    words = SimpleTokenizerV2(build_vocab("a b"))
    with pytest.raises(InvalidArgument, match="word tokenizer"):
        prepare(chats, tmp_path / "x", encoding=words, messages="messages", template=CHATML)


def test_the_count_of_a_mask_is_checked(chats: Path, tmp_path: Path, encoding: Encoding) -> None:
    store = make(chats, tmp_path / "store", encoding)
    assert store.document_mask(0).dtype == np.uint8
    path = store.path / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["shards"][0]["mask_tokens"] += 1
    path.write_text(json.dumps(manifest))
    with pytest.raises(InvalidStore, match=r"tokens are marked, but the manifest says"):
        verify(TokenStore(store.path))
    del manifest["messages"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(InvalidStore, match="checksums of a mask without messages"):
        TokenStore(store.path)


def _spell(messages: Any, end: str = "\n", **options: Any) -> Iterator[tuple[str, bool]]:
    for message in messages:
        yield message["content"] + end, message["role"] == "assistant"


def test_what_a_function_is_bound_to_is_a_setting(tmp_path: Path) -> None:
    from functools import partial

    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"messages": [{"role": "assistant", "content": "Hi"}]}))
    made = {"messages": "messages", "progress": False}
    store = prepare(path, tmp_path / "store", template=partial(_spell, end="!"), **made)
    assert store.text(0) == "Hi!"
    again = prepare(path, tmp_path / "store", template=partial(_spell, end="!"), **made)
    assert again.fingerprint == store.fingerprint
    with pytest.raises((OtherJob, StoreExists), match="variable end was '!' and is"):
        prepare(path, tmp_path / "store", template=partial(_spell, end="?"), **made)
    with pytest.raises(InvalidArgument, match="binds"):
        prepare(path, tmp_path / "other", template=partial(_spell, end=object()), **made)


def test_a_function_without_source_is_the_same_in_each_process() -> None:
    from fastprep.chat.templates import _source_of

    code = """def spell(messages):
    def inner(message):
        return message["content"], message["role"] in {"assistant", "model"}
    return [inner(message) for message in messages]
"""
    found = []
    for _ in range(2):
        names: dict[str, Any] = {}
        exec(compile(code, "<nowhere>", "exec"), names)
        found.append(_source_of(names["spell"]))
    assert found[0] == found[1]
    assert b"0x" not in found[0]


def test_a_row_of_a_table_that_is_not_utf_8_is_one_bad_document(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    kind = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    rows = [[{"role": "assistant", "content": text}] for text in ("One", "Two", "Three")]
    table = pa.table({"messages": pa.array(rows, kind)})
    data = table.column("messages").chunk(0).values.field("content").buffers()[2].to_pybytes()
    offsets = pa.py_buffer(np.array([0, 3, 6, 11], np.int32))
    damaged = pa.py_buffer(data.replace(b"Two", b"T\xffo"))
    content = pa.Array.from_buffers(pa.string(), 3, [None, offsets, damaged])
    structs = pa.StructArray.from_arrays(
        [pa.array(["assistant"] * 3), content], ["role", "content"]
    )
    broken = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), structs)
    made = {"messages": "messages", "template": _spell, "progress": False}
    with pytest.raises(InvalidInput, match="0xff is not UTF-8"):
        prepare(pa.table({"messages": broken}), tmp_path / "raise", **made)
    store = prepare(pa.table({"messages": broken}), tmp_path / "skip", on_error="skip", **made)
    assert [*store.texts()] == ["One\n", "Three\n"]


def test_a_special_token_of_one_character_in_a_message_is_refused() -> None:
    gpt2 = get_encoding("gpt2")
    encoding = Encoding("small", pat_str=gpt2._pat_str, mergeable_ranks=gpt2._mergeable_ranks,
                        special_tokens={"<|endoftext|>": 50256, "\u25b6": 50257})  # fmt: skip
    content = json.dumps([{"role": "assistant", "content": "a \u25b6 b"}]).encode()
    with pytest.raises(BadConversation, match="spells the special token"):
        ChatEncoder(encoding, _spell).encode(content)
    assert 50257 in ChatEncoder(encoding, _spell, special_text=True).encode(content)[0]
