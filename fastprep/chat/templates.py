"""Chat templates: messages to text, and the parts of it that the assistant wrote.

A template is one of Jinja, as tokenizers of Hugging Face have it, run in a sandbox, or a function of
Python. A template of Jinja marks what the assistant wrote by ``{% generation %}`` blocks, or not at all.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import re
import types
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from fastprep.errors import BadConversation, FastprepError, InvalidArgument, MissingExtra
from fastprep.system.arguments import local_path

if TYPE_CHECKING:
    from fastprep.encoding.encoding import Encoding

Messages: TypeAlias = "list[dict[str, Any]]"
#: A function that returns the parts of a conversation's text, each with whether it is trained on.
TemplateFunction: TypeAlias = Callable[["Messages"], Iterable[tuple[str, bool]]]

# What transformers looks for before it warns that a template has no such block.
_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
# No template of a published model is a tenth as long.
_MAX_TEMPLATE = 1 << 20
_MAX_CONFIG = 64 << 20


class Rendered(NamedTuple):
    """The text of a conversation, and what of it the assistant wrote; None if that is not marked."""

    text: str
    trained: list[tuple[int, int]] | None


class Template(Protocol):
    """A template of Jinja or a function, with what a manifest records of it."""

    kind: Literal["jinja", "function"]
    #: The text of the template, or the name of the function.
    name: str
    sha256: str
    variables: dict[str, Any]

    def render(self, messages: Messages, *, prompt: bool = False) -> Rendered:
        """Return the text of messages; with `prompt` followed by the start of the assistant's turn.

        Raises BadConversation if the template does.
        """


class JinjaTemplate:
    """A template of Jinja, with the names that transformers gives it.

    >>> template = JinjaTemplate("{% for m in messages %}[{{ m.role }}] {{ m.content }}\\n{% endfor %}")
    >>> template.render([{"role": "user", "content": "Hi."}]).text
    '[user] Hi.\\n'

    Raises MissingExtra without the package jinja2, InvalidArgument for a template that it refuses.
    """

    kind: Literal["jinja", "function"] = "jinja"

    def __init__(self, text: str, variables: Mapping[str, Any] | None = None) -> None:
        self.name: str = text
        self.variables: dict[str, Any] = dict(variables or {})
        self.sha256: str = hashlib.sha256(text.encode()).hexdigest()
        self._marks: bool = _GENERATION.search(text) is not None
        if len(text) > _MAX_TEMPLATE:
            raise InvalidArgument(
                f"the template has {len(text)} characters, more than {_MAX_TEMPLATE}; pass the chat "
                "template alone"
            )
        _compiled(text)

    def render(self, messages: Messages, *, prompt: bool = False) -> Rendered:
        """See :class:`Template`."""
        template = _compiled(self.name)
        tracker = _Tracker()
        token = _TRACKER.set(tracker)
        dates = _Date(self.variables.get("strftime_now"))
        known = {"tools": None, "documents": None, **self.variables, "strftime_now": dates}
        try:
            blocks = []
            for block in template.generate(
                messages=messages, add_generation_prompt=prompt, **known
            ):
                blocks.append(block)
                tracker.length += len(block)
        except (FastprepError, MemoryError):
            raise
        except Exception as error:  # of any type: a template can add a number to a text
            raise BadConversation(
                f"the chat template fails on it ({type(error).__name__}: {str(error)[:300]}); correct "
                "the conversation, pass another template, or pass on_error='skip' (--on-error skip)"
            ) from error
        finally:
            _TRACKER.reset(token)
        text = "".join(blocks)
        if not self._marks:
            return Rendered(text, None)
        for start, written in tracker.found:
            if not text.startswith(written, start):
                raise BadConversation(
                    "a {% generation %} block of the chat template is in a macro, or in a set or filter "
                    "block, so where its text is in the result is not known; move the block outside"
                )
        return Rendered(text, [(start, start + len(written)) for start, written in tracker.found])


class FunctionTemplate:
    """A function of Python that returns the parts of a conversation's text.

    >>> def spell(messages):
    ...     for message in messages:
    ...         yield f"{message['role']}: ", False
    ...         yield message["content"] + "\\n", message["role"] == "assistant"
    >>> FunctionTemplate(spell).render([{"role": "assistant", "content": "Hi."}])
    Rendered(text='assistant: Hi.\\n', trained=[(11, 15)])
    """

    kind: Literal["jinja", "function"] = "function"

    def __init__(self, function: TemplateFunction) -> None:
        self._function = function
        plain = inspect.unwrap(function)
        bound: dict[str, Any] = {}
        if isinstance(plain, functools.partial):
            bound = dict(plain.keywords) | ({"": list(plain.args)} if plain.args else {})
            plain = plain.func
        name = getattr(plain, "__qualname__", type(plain).__qualname__)
        self.name: str = f"{getattr(plain, '__module__', '?')}.{name}"
        self.variables: dict[str, Any] = _as_json(bound, "what functools.partial binds")
        self.sha256: str = hashlib.sha256(_source_of(plain)).hexdigest()

    def render(self, messages: Messages, *, prompt: bool = False) -> Rendered:
        """See :class:`Template`."""
        texts: list[str] = []
        trained: list[tuple[int, int]] = []
        length = 0
        try:
            # A copy, since a function may change what it is given.
            for text, is_trained in self._function([dict(message) for message in messages]):
                if not isinstance(text, str):
                    raise TypeError(f"a part is a {type(text).__name__}, not a str")
                if is_trained and text:
                    trained.append((length, length + len(text)))
                texts.append(text)
                length += len(text)
        except (FastprepError, MemoryError):
            raise
        except Exception as error:
            raise BadConversation(
                f"the template, the function {self.name}, fails on it ({type(error).__name__}: "
                f"{str(error)[:300]}); it is called with a list of messages, and returns pairs of a str "
                "and a bool; correct one of them, or pass on_error='skip' (--on-error skip)"
            ) from error
        return Rendered("".join(texts), trained)


def _source_of(function: Any) -> bytes:
    """Return what identifies a function: its source, or its code where there is no source."""
    try:
        return inspect.getsource(function).encode()
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        if code is None:
            return repr(type(function)).encode()
        return repr(_identity(code)).encode()


def _identity(value: Any) -> Any:
    """Return what identifies code, or a constant of it, in any process: without addresses."""
    if isinstance(value, types.CodeType):
        return value.co_code, tuple(map(_identity, value.co_consts)), value.co_names
    if isinstance(value, frozenset):
        return sorted(map(repr, value))
    return tuple(map(_identity, value)) if isinstance(value, tuple) else value


# -- the environment of templates ------------------------------------------------------------------


class _Tracker:
    """The number of characters rendered so far, and the texts of generation blocks with their starts."""

    def __init__(self) -> None:
        self.length = 0
        self.found: list[tuple[int, str]] = []


_TRACKER: ContextVar[_Tracker] = ContextVar("_TRACKER")


class _Date:
    """``strftime_now`` of templates, with a date that is given: no day may change a store's bytes."""

    def __init__(self, given: Any) -> None:
        self._given = given

    def __call__(self, format: str) -> str:
        if self._given is None:
            raise InvalidArgument(
                "the chat template writes the date of today, so that another store would be made on "
                "another day; pass the date in template_variables={'strftime_now': '2026-07-26'} "
                "(--template-variables), or the variable that the template reads instead, as "
                "'date_string'"
            )
        try:
            return date.fromisoformat(self._given).strftime(format)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(
                f"template_variables: strftime_now is {self._given!r}: {error}; pass a date as "
                "'2026-07-26'"
            ) from None


@functools.lru_cache(8)
def _compiled(text: str) -> Any:
    """Compile a template; see :class:`JinjaTemplate`."""
    environment = _environment()
    import jinja2

    try:
        return environment.from_string(text)
    except (jinja2.TemplateError, RecursionError, SyntaxError) as error:
        where = f", line {error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
        raise InvalidArgument(
            f"the chat template{where}: Jinja refuses it: {error}; pass a template as "
            "tokenizer_config.json has it"
        ) from None


@functools.cache
def _environment() -> Any:
    """Return the sandbox that templates run in: with the names and settings of transformers."""
    try:
        import jinja2
        import jinja2.exceptions
        import jinja2.ext
        import jinja2.nodes
        import jinja2.sandbox
        import jinja2.utils
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "jinja2":
            raise
        raise MissingExtra(
            "a chat template of Jinja needs the package jinja2: pip install 'fastprep[chat]'",
            name="jinja2",
        ) from None
    import json

    class Generation(jinja2.ext.Extension):
        """The tag ``generation``: its block is what the assistant wrote."""

        tags = {"generation"}  # noqa: RUF012 - a set, as jinja2 has it

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            call = self.call_method("_written")
            return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

        def _written(self, caller: Callable[[], str]) -> str:
            written = caller()
            tracker = _TRACKER.get()
            tracker.found.append((tracker.length, written))
            return written

    class Namespace(jinja2.utils.Namespace):
        """``namespace`` of templates, without names that lead into Python."""

        def __init__(*args: Any, **names: Any) -> None:
            found = dict(*args[1:], **names)
            for name in found:
                _check_name(name)
            jinja2.utils.Namespace.__init__(args[0], found)

        def __setitem__(self, name: str, value: Any) -> None:
            _check_name(name)
            super().__setitem__(name, value)

    def _check_name(name: Any) -> None:
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a namespace cannot have the attribute {name!r}")

    class Dict:
        """``dict`` of templates."""

        def __call__(self, *items: Any, **names: Any) -> dict[Any, Any]:
            return dict(*items, **names)

        def fromkeys(self, *keys: Any) -> dict[Any, Any]:
            return dict.fromkeys(*keys)

    def to_json(
        value: Any,
        ensure_ascii: bool = False,
        indent: Any = None,
        separators: Any = None,
        sort_keys: bool = False,
    ) -> str:
        return json.dumps(
            value,
            ensure_ascii=ensure_ascii,
            indent=indent,
            separators=separators,
            sort_keys=sort_keys,
        )

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = raise_exception
    environment.globals["dict"] = Dict()
    environment.globals["namespace"] = Namespace
    return environment


# -- where templates come from ---------------------------------------------------------------------


def find_template(
    template: str | Path | TemplateFunction | None,
    variables: Mapping[str, Any] | None,
    encoding: Encoding,
) -> Template:
    """Return the template of an argument: text, a path, a function, or None for the encoding's own.

    The variables of a template of Jinja are the special tokens that ``tokenizer_config.json`` beside the
    vocabulary names, as ``bos_token``, and `variables`.

    Raises InvalidArgument if there is no template, or it cannot be used, MissingExtra without jinja2.
    """
    given = _plain(variables)
    if callable(template):
        if given:
            raise InvalidArgument(
                "template_variables are for templates of Jinja; bind the function's"
            )
        return FunctionTemplate(template)
    if template is not None and not isinstance(template, (str, Path)):
        raise InvalidArgument(
            f"template is {template!r:.80}; pass the text of a template, the path of its file, or a "
            "function"
        )
    source = Path(encoding.recipe.source) if encoding.recipe.source else None
    beside = None if source is None or not source.exists() else source.parent
    if isinstance(template, str) and ("{%" in template or "{{" in template):
        text = template
    elif template is not None:
        path = local_path(template, "the template")
        beside = path if path.is_dir() else path.parent
        text = _text_at(path)
    else:
        found = None if beside is None else _text_in(beside)
        if found is None:
            where = (
                "its vocabulary was not read from a file" if beside is None else f"{beside}: none"
            )
            raise InvalidArgument(
                f"the encoding {encoding.name!r} has no chat template ({where}); pass one as template "
                "(--template): the file chat_template.jinja or tokenizer_config.json of the model, or "
                "its text"
            )
        text = found
    own = {} if beside is None else _special_tokens_in(beside)
    return JinjaTemplate(text, {**own, **given})


def _plain(variables: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return variables as JSON has them. Raises InvalidArgument for others."""
    if variables is None:
        return {}
    plain = _as_json(variables, "template_variables")
    wrong = plain.keys() & {"messages", "add_generation_prompt"}
    if wrong:
        raise InvalidArgument(f"template_variables cannot have {sorted(wrong)[0]!r}, which is set")
    return plain


def _as_json(values: Mapping[str, Any], what: str) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = msgspec.json.decode(
            msgspec.json.encode(values), type=dict[str, Any]
        )
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise InvalidArgument(
            f"{what} is {values!r:.80}: {error}; pass a dict of what JSON can hold"
        ) from None
    return plain


def _text_at(path: Path) -> str:
    """Return the template in a file or directory."""
    if path.is_dir():
        text = _text_in(path)
    elif path.suffix == ".json":
        text = _text_of(path, _read_json(path).get("chat_template"))
    else:
        text = _read(path).decode("utf-8", "strict")
    if text is None:
        raise InvalidArgument(f"{path}: it has no chat template; pass a file that has one")
    return text


def _text_in(directory: Path) -> str | None:
    """Return the template beside a vocabulary, or None."""
    own = directory / "chat_template.jinja"
    if own.is_file():
        return _text_at(own)
    for name in ("chat_template.json", "tokenizer_config.json"):
        path = directory / name
        if path.is_file():
            found = _text_of(path, _read_json(path).get("chat_template"))
            if found is not None:
                return found
    return None


def _text_of(path: Path, found: Any) -> str | None:
    """Return the template in a field of JSON: a text, or the one named default of several."""
    if found is None or isinstance(found, str):
        return found
    if isinstance(found, list):
        named = {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}
        if isinstance(named.get("default"), str):
            return str(named["default"])
        raise InvalidArgument(
            f"{path}: it has the chat templates {', '.join(map(repr, named))}, and none is named "
            "'default'; pass the text of one as template (--template)"
        )
    raise InvalidArgument(f"{path}: chat_template is a {type(found).__name__}, not a text")


def _special_tokens_in(directory: Path) -> dict[str, Any]:
    """Return the special tokens that files beside a vocabulary name, as templates know them."""
    found: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        path = directory / name
        if not path.is_file():
            continue
        for key, value in _read_json(path).items():
            if not key.endswith("_token"):
                continue
            content = value.get("content") if isinstance(value, dict) else value
            if isinstance(content, str):
                found[key] = content
    return found


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(_read(path), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"{path}: not an object of JSON: {error}; get it again") from None


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise InvalidArgument(
                f"{path}: no such file; template is a path unless it has '{{%' or '{{{{' in it"
            )
        if path.stat().st_size > _MAX_CONFIG:
            raise InvalidArgument(
                f"{path}: over {_MAX_CONFIG} bytes; no chat template is that long"
            )
        content = path.read_bytes()
    except OSError as error:
        raise InvalidArgument(f"{path}: cannot be read: {error.strerror}; pass another") from None
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument(
            f"{path}: byte {error.start} is not UTF-8; convert the file"
        ) from None
    return content
