"""One YAML file, read into a tree in which every value knows its line.

Law: nothing here knows a setting's name; only secrets are known by theirs, and come no further than this.
PyYAML composes the nodes; their construction is ours, so no tag can build an object, ``off`` stays a word
(YAML 1.1 would make it false) and ``0.1`` stays the text the user wrote.  A file is data from outside: its
size, depth and expansion through aliases are bounded before anything walks it.
"""

from __future__ import annotations

from collections.abc import Sequence as ListOf
from pathlib import Path
from typing import Any, Final

import yaml

from grinder.config.refusals import refusal
from grinder.config.secret import is_secret_name, secret_refusal
from grinder.config.tree import Entry, Node, Scalar, Sequence, Table, Written, is_integer
from grinder.errors import ConfigError

_BYTES_MAX: Final = 1 << 20
_DEPTH_MAX: Final = 24
_NODES_MAX: Final = 50_000

_CORE: Final = "tag:yaml.org,2002:"
_SCALAR_TAGS: Final = frozenset(
    _CORE + name for name in ("null", "bool", "int", "float", "str", "timestamp", "value", "merge")
)
# The C scanner is ten times faster; the pure one says the same in other words.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_document(path: Path, problems: list[ConfigError]) -> Table:
    """Read one file.  An empty file is an empty map.

    Problems that leave a usable tree (duplicate keys, secrets) are added to ``problems``.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or is not a map.
    """
    text = _text(path)
    _refuse_deep(text, path)
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise _syntax(error, path) from error
    if root is None:
        return Table(str(path), {})
    node = _Composer(path, problems).node(root, ())
    if isinstance(node, Scalar) and node.written is Written.NULL:
        return Table(str(path), {})
    if not isinstance(node, Table):
        raise refusal(
            "config.wrong_type",
            "the configuration must be a map",
            place=node.place,
            fix="start with a section, such as `account:`",
        )
    return node


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_BYTES_MAX + 1)
    except FileNotFoundError as error:
        raise refusal(
            "config.file_missing",
            "the configuration file does not exist",
            place=str(path),
            fix="give an existing file with -c, or write one with `grinder init`",
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise refusal(
            "config.file_unreadable",
            f"the configuration file cannot be read: {getattr(error, 'strerror', None) or error}",
            place=str(path),
            fix="give a readable file with -c",
        ) from error
    if len(raw) > _BYTES_MAX:
        raise _too_large(path, f"the file is larger than {_BYTES_MAX} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise refusal(
            "config.file_unreadable",
            "the configuration file is not UTF-8",
            place=f"{path}:{line}",
            fix="save it as UTF-8",
        ) from error


def _too_large(path: Path, what: str) -> ConfigError:
    return refusal(
        "config.too_large", what, place=str(path), fix="write the settings out, once each and flat"
    )


def _refuse_deep(text: str, path: Path) -> None:
    # Composing recurses in C without a guard: a deep file would end the process, not raise.
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > _DEPTH_MAX:
                raise _too_large(path, f"maps and lists are nested deeper than {_DEPTH_MAX}")
    except yaml.YAMLError as error:
        raise _syntax(error, path) from error


def _syntax(error: yaml.YAMLError, path: Path) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or "a character is not allowed in YAML"
    if isinstance(error, yaml.composer.ComposerError) and "alias" in what:
        what = "an alias (`*name`) has no anchor (`&name`)"  # PyYAML quotes the name: it may be a secret
    elif isinstance(error, yaml.composer.ComposerError):
        what = "the file holds more than one document"
    fix = "correct the YAML on this line or the one before"
    if "cannot start any token" in what:
        fix = "indent with spaces, not tabs; put text with special characters in quotes"
    return refusal(
        "config.syntax",
        f"not YAML: {what}",
        place=f"{path}:{mark.line + 1}" if mark is not None else str(path),
        fix=fix,
    )


class _Composer:
    """Turns PyYAML's nodes into ours, each with its place."""

    def __init__(self, path: Path, problems: list[ConfigError]) -> None:
        self._path = path
        self._problems = problems
        self._count = 0

    def node(self, node: yaml.Node, parents: ListOf[yaml.Node]) -> Node:
        self._count += 1
        if self._count > _NODES_MAX or len(parents) > _DEPTH_MAX:
            raise _too_large(self._path, "aliases expand to too many or too deep values")
        place = self._place(node)
        if any(node is parent for parent in parents):
            raise self._unsupported(place, "an alias contains itself")
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALAR_TAGS:
            return _scalar(node, place)
        if isinstance(node, yaml.SequenceNode) and node.tag == _CORE + "seq":
            return Sequence(place, tuple(self.node(item, (*parents, node)) for item in node.value))
        if isinstance(node, yaml.MappingNode) and node.tag == _CORE + "map":
            return self._table(node, place, parents)
        raise self._unsupported(place, "a custom tag (`!name`) is not allowed")

    def _table(self, node: yaml.MappingNode, place: str, parents: ListOf[yaml.Node]) -> Table:
        entries: dict[str, Entry] = {}
        secrets: dict[str, str] = {}
        for key, value in node.value:
            key_place = self._place(key)
            if not isinstance(key, yaml.ScalarNode):
                raise self._unsupported(key_place, "a key must be a word, not a map or list")
            if key.tag == _CORE + "merge":
                raise self._unsupported(key_place, "merge keys (`<<`) are not supported")
            name = key.value
            if is_secret_name(name):
                secrets.setdefault(name, key_place)
            elif name in entries:
                self._problems.append(_duplicate(name, entries[name].place, key_place))
            else:
                entries[name] = Entry(key_place, self.node(value, (*parents, node)))
        self._problems.extend(secret_refusal(name, at) for name, at in secrets.items())
        return Table(place, entries)

    def _place(self, node: yaml.Node) -> str:
        return f"{self._path}:{node.start_mark.line + 1}"

    def _unsupported(self, place: str, what: str) -> ConfigError:
        return refusal("config.unsupported_yaml", what, place=place, fix="write the value out in full")


def _duplicate(name: str, first: str, second: str) -> ConfigError:
    return refusal(
        "config.duplicate_key",
        f"`{name}` is written twice: line {first.rpartition(':')[2]} and line {second.rpartition(':')[2]}",
        place=second,
        fix=f"keep one of the two; the first is at {first}",
    )


def _scalar(node: yaml.ScalarNode, place: str) -> Scalar:
    text: str = node.value
    kind = node.tag.removeprefix(_CORE)
    if kind == "null":
        return Scalar(place, Written.NULL, text)
    if kind == "bool" and text.lower() in ("true", "false"):
        return Scalar(place, Written.FLAG, text.lower())
    if kind == "int" and is_integer(text):
        return Scalar(place, Written.INTEGER, text)
    if kind == "float":
        return Scalar(place, Written.FLOAT, text)
    return Scalar(place, Written.TEXT, text)
