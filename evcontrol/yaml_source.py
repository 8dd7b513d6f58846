"""YAML files that people write, read so that every mistake can be told with its file, line and column."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_BYTES = 2_000_000
Path = tuple[str | int, ...]
ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake in a file: where, what, and what to write instead."""

    file: str
    line: int
    column: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.what}"


class SourceError(ValueError):
    """A file with mistakes; all of them in the order of the file."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = sorted(set(mistakes))
        super().__init__("\n".join(str(m) for m in self.mistakes))


class Document:
    """The data of a YAML file and the place of each part of it.

    ``data`` is made of dict, list, str, int, float, bool and None. Anchors and aliases are refused: they hide what a
    reader sees, and a few lines of them can stand for a billion.
    """

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self._places: dict[Path, tuple[int, int]] = {}
        if len(text.encode("utf-8", "replace")) > MAX_BYTES:
            raise SourceError([Mistake(file, 1, 1, f"the file is larger than {MAX_BYTES} bytes")])
        self.data: Any = self._read(text)

    def place(self, path: Iterable[str | int]) -> tuple[int, int]:
        """Line and column (from 1) of the part at ``path``, or of the nearest part above it."""
        parts = tuple(path)
        while parts and parts not in self._places:
            parts = parts[:-1]
        return self._places.get(parts, (1, 1))

    def mistake(self, path: Iterable[str | int], what: str) -> Mistake:
        """A mistake at ``path``."""
        line, column = self.place(path)
        return Mistake(self.file, line, column, what)

    def validated(self, model: type[ModelT], data: Any, path: Path = ()) -> ModelT:
        """``data``, found at ``path``, as a pydantic model; SourceError with every mistake and its place."""
        try:
            return model.model_validate(data)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False)
            raise SourceError(self.mistake((*path, *e["loc"]), _words(e, model)) for e in found) from None

    def _read(self, text: str) -> Any:
        try:
            loader = YAML(typ="safe", pure=True)
            loader.allow_duplicate_keys = False
            loader.composer.warn_double_anchors = False  # an anchor is refused below, and once is enough
            node = loader.compose(text)
            return None if node is None else self._value(loader, node, (), set())
        except SourceError:
            raise
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
            what = " ".join(str(error.problem or error.context or "not YAML").split())
            raise SourceError([Mistake(self.file, line, column, f"not YAML: {what}")]) from None
        except RecursionError:
            raise SourceError([Mistake(self.file, 1, 1, "nested too deeply")]) from None
        except (YAMLError, ValueError) as error:
            what = " ".join(str(error).split())[:200]
            raise SourceError([Mistake(self.file, 1, 1, f"not YAML: {what}")]) from None

    def _value(self, loader: YAML, node: Node, path: Path, seen: set[int]) -> Any:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        self._places[path] = (line, column)
        if id(node) in seen:
            raise SourceError([Mistake(self.file, line, column, "anchors and aliases are not used here: write it out")])
        seen.add(id(node))
        if isinstance(node, MappingNode):
            return self._mapping(loader, node, path, seen)
        if isinstance(node, SequenceNode):
            return [self._value(loader, child, (*path, i), seen) for i, child in enumerate(node.value)]
        if not isinstance(node, ScalarNode):
            raise SourceError([Mistake(self.file, line, column, "not a mapping, a list or a plain value")])
        return _scalar(loader, node)

    def _mapping(self, loader: YAML, node: MappingNode, path: Path, seen: set[int]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
            if not isinstance(key_node, ScalarNode):
                raise SourceError([Mistake(self.file, line, column, "a key is not a plain word")])
            key = str(key_node.value)
            if key in result:
                raise SourceError([Mistake(self.file, line, column, f"{key!r} stands here twice")])
            result[key] = self._value(loader, value_node, (*path, key), seen)
            if isinstance(value_node, ScalarNode):
                continue
            self._places[(*path, key)] = (line, column)
        return result


def nearest(word: str, known: Iterable[str]) -> str:
    """`` (did you mean ...?)`` with the nearest known word, or the known words when they are few, or nothing."""
    options = sorted(known)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f" (known: {', '.join(options)})" if 0 < len(options) <= 12 else ""


def _scalar(loader: YAML, node: ScalarNode) -> Any:
    return loader.constructor.construct_object(node, deep=True)


def _words(error: Any, model: type[BaseModel]) -> str:
    """A pydantic message in words that name the key."""
    location = error["loc"]
    key = str(location[-1]) if location else ""
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}{nearest(key, _keys(model, location[:-1]))}"
    if error["type"] == "missing":
        return f"{key!r} is missing"
    if not location:
        return "the file is a mapping: keys with values behind them"
    message = error["msg"].removeprefix("Value error, ")
    return f"{key}: {message[:1].lower()}{message[1:]}" if isinstance(key, str) else str(message)


def _keys(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The keys that the section at ``location`` of a file of this model may have; none where that is not known."""
    for part in location:
        field = model.model_fields.get(str(part)) or _by_alias(model, str(part))
        if field is None:
            continue  # a name in a mapping of sections, or a place in a list of them
        inner = _section_in(field.annotation)
        if inner is None:
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _by_alias(model: type[BaseModel], key: str) -> FieldInfo | None:
    return next((field for field in model.model_fields.values() if field.alias == key), None)


def _section_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part)) is not None), None)
