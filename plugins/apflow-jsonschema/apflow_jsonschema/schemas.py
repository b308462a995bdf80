"""JSON Schemas that refer to nothing outside themselves, ready for use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import jsonschema
import referencing
from jsonschema.protocols import Validator
from referencing.jsonschema import specification_with

from apflow_hookspecs import Json
from apflow_jsonschema.known import UNKNOWN, holds_unknown
from apflow_jsonschema.words import Misfit, hide, is_write_only, misfits_of, shown

MOST = 20
"""Misfits that are told of one value."""

_VALIDATORS = (
    jsonschema.Draft202012Validator,
    jsonschema.Draft201909Validator,
    jsonschema.Draft7Validator,
    jsonschema.Draft6Validator,
    jsonschema.Draft4Validator,
)
DIALECTS: dict[str, type[Validator]] = {str(cls.META_SCHEMA["$schema"]).rstrip("#"): cls for cls in _VALIDATORS}
"""Validator by the URI that `$schema` gives; the first is the default."""

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")

_CERTAIN = frozenset({
    "$dynamicRef", "$recursiveRef", "$ref", "additionalItems", "additionalProperties", "allOf", "items", "maxItems",
    "maxProperties", "minItems", "patternProperties", "prefixItems", "properties", "propertyNames", "required", "type",
})  # fmt: skip
"""Keywords whose objection to a value stands whatever comes into the open places in it."""

Check = Callable[..., Any]
"""Of a keyword: from validator, what the keyword says, value and schema to errors."""


class Schema:
    """A JSON Schema.

    Args:
        written: As JSON; it belongs to this object from now on.
        formats: Whether `format` is checked.

    Attributes:
        faults: What is wrong with the schema itself; one that has faults fits nothing.
    """

    def __init__(self, written: Json, *, formats: bool = False) -> None:
        self._written = written
        self._uri = next(iter(DIALECTS))
        self._formats = formats
        self.faults = self._collected(self._find_faults, written)

    def misfits(self, value: Json) -> tuple[Misfit, ...]:
        """What of a value does not fit, as far as it is known; the first 20."""
        if self.faults:
            return tuple(Misfit((), f"cannot be checked, for its schema {fault.rule}", value) for fault in self.faults[:1])
        return self._collected(self._find_misfits, value)

    def _collected(self, find: Callable[[Any], Iterator[Misfit]], value: Json) -> tuple[Misfit, ...]:
        told: dict[tuple[Any, str], Misfit] = {}
        try:
            for misfit in find(value):
                told.setdefault((misfit.path, misfit.rule), misfit)
                if len(told) == MOST:
                    break
            return tuple(told.values())
        except RecursionError:
            rule = "cannot be checked: it is too deep for its schema, or that refers to itself without end"
        except Exception as error:  # noqa: BLE001 - a schema can be anything, and make jsonschema raise anything
            rule = f"cannot be checked: {type(error).__name__}: {error}"
        return (Misfit((), rule, shown(value, self._written)),)

    def _find_misfits(self, value: Json) -> Iterator[Misfit]:
        validator = self._patient if holds_unknown(value) else self._strict
        for error in validator.iter_errors(value):
            if error.instance is not UNKNOWN:
                yield from misfits_of(error)

    def _find_faults(self, written: Json) -> Iterator[Misfit]:
        dialect = written.pop("$schema", self._uri) if isinstance(written, dict) else self._uri
        self._uri = str(dialect).rstrip("#")
        if self._uri not in DIALECTS:
            yield Misfit(("$schema",), f"must be one of {', '.join(DIALECTS)}", dialect)
            return
        cls = DIALECTS[self._uri]
        checker = cls(cls.META_SCHEMA, registry=referencing.Registry(), format_checker=cls.FORMAT_CHECKER)
        sound = True
        for error in checker.iter_errors(written):
            sound = False
            yield from misfits_of(error)
        if sound:
            yield from self._find_strangers(written)

    def _find_strangers(self, written: Json) -> Iterator[Misfit]:
        """What the schema refers to outside itself, wherever a reference leads inside it."""
        specification = specification_with(self._uri)
        root = specification.create_resource(written)
        still_open = [(root, referencing.Registry().resolver_with_root(root))]
        met: set[int] = set()
        while still_open:
            resource, resolver = still_open.pop()
            part = resource.contents
            if isinstance(part, bool) or id(part) in met:
                continue
            met.add(id(part))
            if not isinstance(part, dict):
                yield Misfit((), "must refer to schemas, and this is none", part)
                continue
            # With a `$schema` below the top, jsonschema would go on with another validator than ours.
            if str(part.pop("$schema", self._uri)).rstrip("#") != self._uri:
                yield Misfit((), "must keep to one `$schema`, that of its top", part)
            still_open += ((inner, resolver.in_subresource(inner)) for inner in resource.subresources())
            for keyword in _REFERENCES:
                if keyword not in part:
                    continue
                try:
                    found = resolver.lookup(part[keyword])
                except Exception:  # noqa: BLE001 - a pointer into what is no schema raises anything
                    yield Misfit((), "must refer to nothing outside itself", {keyword: part[keyword]})
                else:
                    still_open.append((specification.create_resource(found.contents), found.resolver))

    @property
    def names(self) -> frozenset[str]:
        """The names that its `properties` say something of."""
        properties = self._written.get("properties") if isinstance(self._written, dict) else None
        return frozenset(properties) if isinstance(properties, dict) else frozenset()

    @cached_property
    def _strict(self) -> Validator:
        return self._validator(lambda _, check: _discreet(check))

    @cached_property
    def _patient(self) -> Validator:
        """Objects to what is certain only."""
        return self._validator(lambda keyword, check: _patient(keyword, _discreet(check)))

    def _validator(self, changed: Callable[[str, Check], Check]) -> Validator:
        cls = DIALECTS[self._uri]
        extend: Callable[..., type[Validator]] = jsonschema.validators.extend
        cls = extend(cls, {keyword: changed(keyword, check) for keyword, check in cls.VALIDATORS.items()})
        checker = cls.FORMAT_CHECKER if self._formats else None
        return cls(self._written, registry=referencing.Registry(), format_checker=checker)


def _discreet(check: Check) -> Check:
    """A check whose errors show no value where their schema, or one above through which they come, is `writeOnly`."""

    def discreet(validator: Validator, wanted: Any, value: Any, schema: Any) -> Iterator[jsonschema.ValidationError]:
        for error in check(validator, wanted, value, schema) or ():
            if is_write_only(schema):
                hide(error)
            yield error

    return discreet


def _patient(keyword: str, check: Check) -> Check:
    certain = keyword in _CERTAIN

    def patient(validator: Validator, wanted: Any, value: Any, schema: Any) -> Any:
        if value is UNKNOWN or not (certain or not holds_unknown(value)):
            return ()
        return check(validator, wanted, value, schema)

    return patient
