"""JSON values into the types that a signature or an attrs class asks for, strictly: `"3"` is not 3 and `true` is not 1.

JSON's own types are checked right here; attrs classes, enums, literals, dates and whatever else goes by cattrs, which is
imported when the first type needs it.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import attrs
from attrs import frozen

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")

PLAIN: dict[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "text"),
    int: ((int,), "an integer"),
    float: ((float, int), "a number"),
    bool: ((bool,), "true or false"),
    dict: ((dict,), "an object"),
    list: ((list,), "an array"),
    type(None): ((type(None),), "null"),
    None: ((type(None),), "null"),
}
"""JSON's own types: what a value may be, and how a message calls it."""

ANYTHING = (Any, object)


@frozen
class Misfit:
    """One place where a value does not fit its type.

    Args:
        path: With dots, from the value: `.address.0`; empty for the value itself.
        rule: What it breaks.
        value: What stands there.
    """

    path: str
    rule: str
    value: Any


class DoesNotFit(ValueError):
    """A value does not fit the type that is asked for."""

    def __init__(self, misfits: tuple[Misfit, ...]) -> None:
        super().__init__("; ".join(f"{misfit.path.lstrip('.') or 'it'}: {misfit.rule}" for misfit in misfits))
        self.misfits = misfits


def structure(value: Any, cls: type[T]) -> T:
    """A value as an instance of a type.

    Raises:
        DoesNotFit: It cannot be; every misfit is named.
    """
    result: T = structurer(cls)(value)
    return result


def structurer(annotation: Any) -> Callable[[Any], Any]:
    """What turns a value into a type's, or raises `DoesNotFit`; made once per type.

    Raises:
        TypeError: No JSON value can be turned into that type.
    """
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if annotation in ANYTHING:
        return _as_it_is
    plain = [PLAIN.get(_bare(member)) for member in _members(annotation)]
    if None not in plain:
        return _plain(tuple(entry for entry in plain if entry is not None))
    return _by_cattrs(annotation)


def _as_it_is(value: Any) -> Any:
    return value


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _bare(member: Any) -> Any:
    """`dict` for `dict[str, Any]`, `list` for `list[Any]`: nothing inside them needs a look."""
    origin, arguments = get_origin(member), get_args(member)
    if origin in (dict, Mapping) and arguments in ((), (str, Any), (str, object)):
        return dict
    if origin is list and arguments in ((), (Any,), (object,)):
        return list
    return member


def _plain(entries: tuple[tuple[tuple[type, ...], str], ...]) -> Callable[[Any], Any]:
    allowed = frozenset(kind for kinds, _ in entries for kind in kinds)
    rule = "must be " + " or ".join(name for _, name in entries)
    to_float = float in allowed and int in allowed and (((int,), "an integer") not in entries)

    def check(value: Any) -> Any:
        if type(value) not in allowed:
            raise DoesNotFit((Misfit("", rule, value),))
        return float(value) if to_float and type(value) is int else value

    return check


def _by_cattrs(annotation: Any) -> Callable[[Any], Any]:
    from cattrs.errors import StructureHandlerNotFoundError  # noqa: PLC0415 - as in `_converter`

    try:
        hook = _converter().get_structure_hook(annotation)
    except StructureHandlerNotFoundError as error:
        raise TypeError(f"no JSON value can be turned into {annotation}") from error
    except NameError as error:
        raise TypeError(f"the fields of {annotation} are of types that cannot be found: {error}") from error

    def convert(value: Any) -> Any:
        try:
            return hook(value, annotation)
        except Exception as error:
            raise DoesNotFit(tuple(_misfits(error, "", value))) from error

    return convert


@cache
def _converter() -> Converter:
    from cattrs import Converter  # noqa: PLC0415 - a tenth of a second that most starts can do without
    from cattrs.strategies import configure_union_passthrough  # noqa: PLC0415

    converter = Converter(forbid_extra_keys=True)
    converter.register_structure_hook(Enum, _enum)
    for kind in (str, int, float, bool):
        converter.register_structure_hook(kind, _scalar_hook(kind))
    converter.register_structure_hook_factory(_takes_an_array, _array_hook)
    converter.register_structure_hook_func(_is_literal, _literal)
    configure_union_passthrough(str | int | float | bool | None, converter)
    converter.register_structure_hook_factory(_is_plain_union, _plain_union_hook)
    _register_text_forms(converter)
    return converter


ARRAYS: dict[Any, Callable[[Sequence[Any]], Any]] = {list: list, tuple: tuple, set: set, frozenset: frozenset, Sequence: list}


def _takes_an_array(annotation: Any) -> bool:
    return (get_origin(annotation) or annotation) in ARRAYS


def _is_literal(annotation: Any) -> bool:
    origin: Any = get_origin(annotation)
    return origin is Literal


def _literal(value: Any, annotation: Any) -> Any:
    return _one_of(value, {allowed: allowed for allowed in get_args(annotation)})


def _enum(value: Any, annotation: type[Enum]) -> Any:
    return _one_of(value, {member.value: member for member in annotation})


def _one_of(value: Any, choices: Mapping[Any, Any]) -> Any:
    for allowed, chosen in choices.items():
        if value == allowed and type(value) is type(allowed):
            return chosen
    raise DoesNotFit((Misfit("", f"must be one of {', '.join(map(repr, choices))}", value),))


def _scalar_hook(base: type) -> Callable[[Any, Any], Any]:
    check = structurer(base)

    def convert(value: Any, kind: Any) -> Any:
        # cattrs comes here with subclasses too, `StrEnum` among them.
        if kind is base:
            return check(value)
        return _enum(value, kind) if issubclass(kind, Enum) else kind(check(value))

    return convert


def _is_plain_union(annotation: Any) -> bool:
    members = _members(annotation)
    return len(members) > 1 and all(_bare(member) in PLAIN for member in members)


def _plain_union_hook(annotation: Any) -> Callable[[Any, Any], Any]:
    check = structurer(annotation)
    return lambda value, _: check(value)


def _array_hook(annotation: Any) -> Callable[[Any, Any], Any]:
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    fixed = origin is tuple and bool(arguments) and ... not in arguments
    checks = [structurer(argument) for argument in arguments if argument is not ...]

    def convert(value: Any, _: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise DoesNotFit((Misfit("", "must be an array", value),))
        if fixed and len(value) != len(checks):
            raise DoesNotFit((Misfit("", f"must be an array of {len(checks)}", value),))
        items = _items(value, checks if fixed else checks * len(value))
        try:
            return ARRAYS[origin](items)
        except TypeError:
            raise DoesNotFit((Misfit("", "must be an array without objects and arrays in it", value),)) from None

    return convert


def _items(values: Sequence[Any], checks: Sequence[Callable[[Any], Any]]) -> Sequence[Any]:
    if not checks:
        return values
    items: list[Any] = []
    misfits: list[Misfit] = []
    for index, (value, check) in enumerate(zip(values, checks, strict=True)):
        try:
            items.append(check(value))
        except DoesNotFit as error:
            misfits.extend(Misfit(f".{index}{misfit.path}", misfit.rule, misfit.value) for misfit in error.misfits)
    if misfits:
        raise DoesNotFit(tuple(misfits))
    return items


def _register_text_forms(converter: Converter) -> None:
    """Types that JSON writes as text."""
    import datetime as dt  # noqa: PLC0415 - with cattrs
    import pathlib  # noqa: PLC0415
    import uuid  # noqa: PLC0415

    forms: dict[Any, tuple[Callable[[str], Any], str]] = {
        dt.datetime: (dt.datetime.fromisoformat, "a date and time (RFC 3339)"),
        dt.date: (dt.date.fromisoformat, "a date (RFC 3339)"),
        pathlib.Path: (pathlib.Path, "a path"),
        uuid.UUID: (uuid.UUID, "a UUID"),
    }
    for kind, (parse, name) in forms.items():
        converter.register_structure_hook(kind, _from_text(parse, name))


def _from_text(parse: Callable[[str], Any], name: str) -> Callable[[Any, Any], Any]:
    def convert(value: Any, _: Any) -> Any:
        if isinstance(value, str):
            try:
                return parse(value)
            except ValueError:
                pass
        raise DoesNotFit((Misfit("", f"must be {name}", value),))

    return convert


def _names(cls: type) -> list[str]:
    return [field.name for field in attrs.fields(cls)] if attrs.has(cls) else []


def _misfits(error: BaseException, path: str, value: Any) -> Iterator[Misfit]:
    """What cattrs' tree of errors says, place by place."""
    from cattrs import errors  # noqa: PLC0415 - it raised one

    if isinstance(error, DoesNotFit):
        for misfit in error.misfits:
            yield Misfit(path + misfit.path, misfit.rule, misfit.value)
    elif isinstance(error, errors.ForbiddenExtraKeysError):
        for name in sorted(error.extra_fields):
            near = get_close_matches(name, _names(error.cl), n=1)
            rule = f"there is no such field{f'; did you mean {near[0]!r}?' if near else ''}"
            yield Misfit(f"{path}.{name}", rule, value.get(name))
    elif isinstance(error, errors.ClassValidationError | errors.IterableValidationError):
        if not isinstance(value, Mapping | list | tuple):
            yield Misfit(path, "must be an object", value)
            return
        for inner in error.exceptions:
            step = _step(inner)
            missing = step is not None and isinstance(inner, KeyError) and isinstance(value, Mapping) and step not in value
            if missing:
                yield Misfit(f"{path}.{step}", "is missing", None)
            else:
                part = value.get(step, value) if isinstance(value, Mapping) else value
                yield from _misfits(inner, path if step is None else f"{path}.{step}", part)
    elif isinstance(error, TypeError | AttributeError) and not isinstance(value, Mapping):
        yield Misfit(path, "must be an object", value)
    else:
        yield Misfit(path, _rule(error), value)


def _rule(error: BaseException) -> str:
    from cattrs.errors import StructureHandlerNotFoundError  # noqa: PLC0415 - as in `_misfits`

    if isinstance(error, StructureHandlerNotFoundError):
        return f"must be left out: no JSON value can be turned into {error.type_}"
    return " ".join(str(error).split()) or type(error).__name__


def _step(error: BaseException) -> Any:
    """The attribute or key at which an error arose, as cattrs notes it on the exception."""
    for note in getattr(error, "__notes__", ()):
        for attribute in ("name", "index"):
            if hasattr(note, attribute):
                return getattr(note, attribute)
    return None
