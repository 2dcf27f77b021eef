"""Pages of the API reference, from signatures and docstrings."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from docs_site.api import chapter_names, names_by_path, package

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from docs_site.api import Name
    from docs_site.chapters import Chapter

__all__ = ["members", "pages", "undocumented"]

_WIDTH = 88
# One for each event is for type checkers: readers get what is common.
_MAX_OVERLOADS = 6
# What these fields mean wherever they stand, unless their class says more.
_COMMON = {
    "agent": "the agent in charge",
    "call_id": "the id of the call, which its output bears too",
    "content_index": "the place of the part in its item, from 0",
    "context": "the run context of `openai-agents`: your object is `context.context`",
    "item_id": "the provider's id of the item",
    "response_id": "the provider's id of the response",
    "tool": "the tool",
    "tool_call": "the call that the model made",
}


def pages() -> dict[str, str]:
    """The Markdown of each page of the reference, by its name in `reference/`."""
    made = {
        f"{chapter.file}.md": "\n".join(_page(chapter, sections))
        for chapter, sections in chapter_names()
    }
    made["index.md"] = "\n".join(_index())
    return made


def undocumented() -> list[str]:
    """Public names, methods, properties and fields of which nothing is said."""
    found = []
    for path, (name, _) in names_by_path().items():
        target = name.target
        if path == "stapes.__version__":
            continue
        if not _text(target):
            found.append(name.anchor)
        if target.is_class:
            said = {it[0]: it[3] for it in _fields(target)}
            said |= {method: _text(member) for method, member in _methods(target)}
            found += [f"{name.anchor}.{it}" for it, text in said.items() if not text]
    return found


def members(name: Name) -> list[str]:
    """The public fields, properties and methods of a class, those of its hidden bases included."""
    if name.target is None or not name.target.is_class:
        return []
    found = [it[0] for it in _fields(name.target)] + [it for it, _ in _methods(name.target)]
    return [it for it in found if name.is_public(it)]


def _index() -> Iterator[str]:
    yield "# API reference\n"
    yield "Each public name, with its arguments, fields, units, defaults and errors.\n"
    yield "There is also [the command line](commands.md), and what"
    yield "[web pages and servers say to each other](browser-wire.md).\n"
    for chapter, sections in chapter_names():
        yield f"## [{chapter.title}]({chapter.file}.md)\n"
        yield f"{chapter.text}\n"
        for _, names in sections:
            for name in names:
                text = _summary(_text(name.target)) or "The version of the package."
                yield f"- [`{name.name}`]({chapter.file}.md#{name.anchor}): {text}"
        yield ""


def _summary(text: str) -> str:
    """The first sentence."""
    first = text.split("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=\.)\s", first)[0].rstrip(":")


def _page(chapter: Chapter, sections: Iterable[Any]) -> Iterator[str]:
    yield f"# {chapter.title}\n"
    yield f"{chapter.text}\n"
    for section, names in sections:
        level = 2
        if section.title and names:
            yield f"## {section.title}\n"
            level = 3
        for name in names:
            yield from _entry(name, level)


def _entry(name: Name, level: int) -> Iterator[str]:
    target = name.target
    yield f"{'#' * level} `{name.name}` {{#{name.anchor}}}\n"
    others = ", ".join(f"`{module}`" for module in name.other_modules)
    also = f", also in {others}" if others else ""
    yield f"`from {name.module} import {name.name}`{also}\n{{: .api-import }}\n"
    if name.name == "__version__":
        yield "The version of the package, such as `0.1.0`: a `str`.\n"
        return
    if target.is_class:
        yield from _class(name, level)
    elif target.is_function:
        yield _code(*[_signature(name.name, it) for it in (name.overloads or [target])])
        yield from _body(target)
    else:
        yield from _value(name)


def _value(name: Name) -> Iterator[str]:
    target = name.target
    value = str(target.value or "")
    if target.annotation is not None and "TypeAlias" not in str(target.annotation):
        yield _code(f"{name.name}: {target.annotation}")
    elif value:
        yield _code(_wrapped_alias(name.name, value))
    if text := _text(target):
        yield f"{text}\n"


def _wrapped_alias(name: str, value: str) -> str:
    if value[:1] in "'\"" and value[:1] == value[-1:]:
        value = value[1:-1]  # an alias that is written as a text
    if len(name) + len(value) + 3 <= _WIDTH or "|" not in value:
        return f"{name} = {value}"
    return f"{name} = (\n    " + "\n    | ".join(part.strip() for part in value.split("|")) + "\n)"


def _class(name: Name, level: int) -> Iterator[str]:
    target = name.target
    kind = _kind(target)
    made = _constructor(target)
    bases = [str(base) for base in target.bases if _base_is_said(target, base)]
    if kind == "typed dictionary":
        yield "A typed dictionary.\n"
    elif made is not None:
        yield _code(_signature(name.name, made, is_method=True, returns=False))
    if bases:
        yield f"Bases: {', '.join(f'`{base}`' for base in bases)}.\n"
    yield from _text_parts(target)
    yield from _sections(target, made)
    fields = [it for it in _fields(target) if name.is_public(it[0])]
    if fields:
        word = {"typed dictionary": "Keys", "dataclass": "Fields"}.get(kind, "Attributes")
        yield f"**{word}**\n"
        for field, annotation, default, text in fields:
            yield _item(field, annotation, default, text)
        yield ""
    for method, member in _methods(target):
        if not name.is_public(method):
            continue
        yield f"{'#' * (level + 1)} `{name.name}.{method}` {{#{name.anchor}.{method}}}\n"
        overloads = _overloads_of(target, method)
        if not 0 < len(overloads) <= _MAX_OVERLOADS:
            overloads = [member]
        yield _code(*[_signature(method, it, is_method=True) for it in overloads])
        yield from _body(member)


def _body(target: Any) -> Iterator[str]:
    yield from _text_parts(target)
    yield from _sections(target, target)


def _text_parts(target: Any) -> Iterator[str]:
    if text := _text(target):
        yield f"{text}\n"


def _text(target: Any) -> str:
    """What the docstring says before its sections, as Markdown."""
    if target is None or target.docstring is None:
        return ""
    texts = [str(part.value) for part in target.docstring.parsed if part.kind.value == "text"]
    return _markdown("\n\n".join(texts))


def _markdown(text: str) -> str:
    """Indented code as fenced code; the rest as it is."""
    lines: list[str] = []
    is_code = False
    for line in text.strip().splitlines():
        begins = line.startswith("    ")
        if begins and not is_code and (not lines or not lines[-1].strip()):
            lines.append("```python")
            is_code = True
        elif is_code and line.strip() and not begins:
            while not lines[-1].strip():
                lines.pop()
            lines += ["```", ""]
            is_code = False
        lines.append(line[4:] if is_code else line)
    if is_code:
        while not lines[-1].strip():
            lines.pop()
        lines.append("```")
    return "\n".join(lines)


def _sections(target: Any, function: Any) -> Iterator[str]:
    if target.docstring is None:
        return
    for part in target.docstring.parsed:
        kind = part.kind.value
        if kind == "parameters" and "dataclass" not in target.labels:
            yield "**Arguments**\n"
            for it in part.value:
                for one in it.name.split(","):
                    annotation, default = _parameter(function, one.strip())
                    yield _item(one.strip(), annotation, default, it.description)
            yield ""
        elif kind == "raises":
            yield "**Raises**\n"
            for it in part.value:
                kinds = str(it.annotation).strip("()").split(", ")
                yield f"- {', '.join(f'`{kind}`' for kind in kinds)}: {_flat(it.description)}"
            yield ""
        elif kind in ("returns", "yields"):
            yield f"**{kind.capitalize()}**\n"
            for it in part.value:
                said = ": ".join(x for x in (it.name or "", _flat(it.description)) if x)
                yield f"- {said}"
            yield ""
        elif kind == "admonition":
            yield f"**{part.title or 'Note'}** {_flat(str(part.value.description))}\n"


def _item(name: str, annotation: str, default: str | None, text: str) -> str:
    said = [f"`{_plain(annotation)}`"] if annotation else []
    if default is not None:
        said.append(f"default `{_plain(default)}`")
    kind = f" *{', '.join(said)}*{{: .api-type }}" if said else ""
    return f"- **`{name}`**{kind}" + (f"  \n    {_flat(text)}" if text else "")


def _flat(text: str | None) -> str:
    return " ".join((text or "").split())


def _parameter(function: Any, name: str) -> tuple[str, str | None]:
    """The annotation and the default of a parameter."""
    parameters = getattr(function, "parameters", None)
    plain = name.lstrip("*")
    if parameters is None or plain not in [it.name for it in parameters]:
        return "", None
    found = parameters[plain]
    default = None if found.default is None else _default(function, str(found.default))
    if found.kind is not None and "variadic" in found.kind.value:
        default = None
    return str(found.annotation or ""), None if default == "..." else default


def _default(owner: Any, value: str) -> str | None:
    """A default as users would write it."""
    if value.startswith("field("):
        call = ast.parse(value, mode="eval").body
        assert isinstance(call, ast.Call)
        said = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if "default_factory" in said:
            made = said["default_factory"]
            value = {"dict": "{}", "list": "[]", "frozenset": "frozenset()"}.get(made, f"{made}()")
            value = made.removeprefix("lambda: ") if made.startswith("lambda: ") else value
        elif "default" in said:
            value = said["default"]
        else:
            return None
    if re.fullmatch(r"_[A-Za-z_]+(\.copy\(\))?", value):
        found = owner
        while found is not None and not found.is_module:
            found = found.parent
        member = found.members.get(value.removesuffix(".copy()")) if found is not None else None
        if member is not None and not member.is_alias and member.value is not None:
            return str(member.value)
    return value


def _kind(target: Any) -> str:
    if any(str(base) == "TypedDict" for base in target.bases):
        return "typed dictionary"
    return "dataclass" if "dataclass" in target.labels else "class"


def _base_is_said(target: Any, base: Any) -> bool:
    text = str(base)
    if text.split("[")[0] in ("Generic", "TypedDict", "ABC", "Protocol", "EventSource"):
        return False
    resolved = _class_of(base)
    return resolved is None or resolved.path in names_by_path()


def _class_of(base: Any) -> Any:
    """The class of the package that a base names, if it is one of the package's."""
    path = getattr(base, "canonical_path", "")
    for _ in range(9):
        if not path.startswith("stapes."):
            return None
        try:
            found = package()[path.removeprefix("stapes.")]
        except KeyError:
            return None
        if not found.is_alias:
            return found
        path = found.target_path
    return None


def _lineage(target: Any) -> Iterator[Any]:
    """The class, and those bases that stand on no page: what they have is shown with it."""
    yield target
    for base in target.bases:
        found = _class_of(base)
        if found is not None and found.is_class and found.path not in names_by_path():
            yield from _lineage(found)


def _constructor(target: Any) -> Any:
    for owner in _lineage(target):
        for name in ("__init__", "__new__"):
            found = owner.members.get(name)
            if found is not None and found.is_function:
                return found
    return None


def _said_attributes(target: Any) -> dict[str, str]:
    if target.docstring is None:
        return {}
    return {
        it.name: it.description
        for part in target.docstring.parsed
        if part.kind.value == "attributes"
        or (part.kind.value == "parameters" and "dataclass" in target.labels)
        for it in part.value
    }


def _fields(target: Any) -> Iterator[tuple[str, str, str | None, str]]:
    """Name, type, default and meaning of each public field, property and attribute."""
    seen: set[str] = set()
    for owner in _lineage(target):
        said = _said_attributes(owner)
        for name, member in owner.members.items():
            if name.startswith("_") or name in seen or member.is_alias:
                continue
            if not member.is_attribute:
                continue
            text = said.get(name) or _text(member) or _COMMON.get(name, "")
            labels = member.labels
            annotation = str(member.annotation or "")
            if "instance-attribute" in labels and not annotation and not text:
                continue
            is_class_variable = labels == {"class-attribute"}
            value = None if member.value is None else str(member.value)
            default = None
            if value is not None and "property" not in labels and owner.is_class:
                is_init = "class-attribute" in labels
                default = _default(owner, value) if is_init else None
            if name == "type" and (is_class_variable or not text):
                text, default = text or "tells the classes apart", _value_of(value)
            seen.add(name)
            yield name, annotation, default, text


def _value_of(value: str | None) -> str | None:
    """The value of a field that is always the same."""
    found = re.search(r"'[\w.*]+'|\"[\w.*]+\"", value or "")
    return found[0] if found else value


def _methods(target: Any) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    for owner in _lineage(target):
        for name, member in owner.members.items():
            if name.startswith("_") or name in seen or member.is_alias:
                continue
            if member.is_function:
                seen.add(name)
                yield name, member
        for name, overloads in getattr(owner, "overloads", {}).items():
            if name not in seen and not name.startswith("_"):
                seen.add(name)
                yield name, next((it for it in overloads if it.docstring), overloads[0])


def _overloads_of(target: Any, name: str) -> list[Any]:
    for owner in _lineage(target):
        member = owner.members.get(name)
        if member is not None and getattr(member, "overloads", None):
            return list(member.overloads)
        if name in getattr(owner, "overloads", {}):
            return list(owner.overloads[name])
    return []


def _signature(name: str, function: Any, *, is_method: bool = False, returns: bool = True) -> str:
    parameters = list(function.parameters)
    if is_method and parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    parameters = [it for it in parameters if not it.name.startswith("_")]
    shown: list[str] = []
    kinds = [str(it.kind.value) if it.kind is not None else "" for it in parameters]
    for at, (it, kind) in enumerate(zip(parameters, kinds, strict=True)):
        before = kinds[at - 1] if at else ""
        if kind == "keyword-only" and before not in ("keyword-only", "variadic positional"):
            shown.append("*")
        if before == "positional-only" and kind != "positional-only":
            shown.append("/")
        star = {"variadic positional": "*", "variadic keyword": "**"}.get(kind, "")
        text = f"{star}{it.name}"
        if it.annotation is not None:
            text += f": {it.annotation}"
        if it.default is not None and not star:
            equals = " = " if it.annotation is not None else "="
            text += f"{equals}{_default(function, str(it.default))}"
        shown.append(text)
    prefix = "async " if "async" in function.labels else ""
    result = f" -> {function.returns}" if returns and function.returns is not None else ""
    flat = f"{prefix}{name}({', '.join(shown)}){result}"
    if len(flat) <= _WIDTH:
        return flat
    inner = "".join(f"    {it},\n" for it in shown)
    return f"{prefix}{name}(\n{inner}){result}"


def _code(*parts: str) -> str:
    return "```python\n" + _plain("\n".join(parts)) + "\n```\n"


def _plain(code: str) -> str:
    """Types and constants that have no public name, by what they are called."""
    return re.sub(r"(?<![\w.])(?:_(?=[A-Z])|ev\.)", "", code)
