"""What values fit a setting: converters that name the rule that a value breaks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from attrs import frozen

T = TypeVar("T")


class Misfit(ValueError):
    """A value breaks a rule.

    Args:
        rule: The end of a sentence: "must be …".
        value: What was given.
        path: The keys that lead to it from the setting that was converted.
    """

    def __init__(self, rule: str, value: Any, *path: str) -> None:
        super().__init__(rule)
        self.rule = rule
        self.value = value
        self.path = path


class EnvText(str):
    """A value from the environment: a text that may stand for a number, a truth value, a list or a table, as in TOML."""

    __slots__ = ()


@frozen
class PluginChoice:
    """The table `plugins`: which plugins may be imported.

    Args:
        allow: Names of plugins or distributions; when there are any, others stay out. `APFLOW_PLUGINS`.
        block: Names likewise; wins over `allow`. `APFLOW_BLOCK`.
        strict: Whether a broken plugin is an error, instead of being off.
    """

    allow: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    strict: bool = False


def plain(value: Any) -> Any:
    """A value with every text of the environment in it read as TOML, where it is TOML; else it stays a text."""
    if isinstance(value, EnvText):
        return _toml(value)
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return value


def count(value: Any) -> int:
    """A whole number of at least 1."""
    return _whole(value, 1)


def count_or_none(value: Any) -> int:
    """A whole number of at least 0."""
    return _whole(value, 0)


def duration(value: Any) -> float:
    """Seconds, more than 0; `inf` is for ever."""
    number = plain(value)
    if not _is_number(number) or not number > 0:
        raise Misfit("must be a number of seconds above 0", number)
    return float(number)


def duration_or_none(value: Any) -> float:
    """Seconds, at least 0; `inf` is for ever."""
    number = plain(value)
    if not _is_number(number) or not number >= 0:
        raise Misfit("must be a number of seconds, at least 0", number)
    return float(number)


def flag(value: Any) -> bool:
    """True or false."""
    truth = plain(value)
    if not isinstance(truth, bool):
        raise Misfit("must be true or false", truth)
    return truth


def names(value: Any) -> tuple[str, ...]:
    """A list of texts; one text holds them with commas between."""
    given = plain(value)
    if isinstance(value, str) and not isinstance(given, list):
        return tuple(filter(None, (name.strip() for name in value.split(","))))
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
        raise Misfit("must be a list of names", given)
    return tuple(given)


def durability(value: Any) -> str:
    """What a stored result survives."""
    if value not in ("full", "process"):
        raise Misfit("must be full or process", value)
    return str(value)


def log_level(value: Any) -> str:
    """From where on log records are shown."""
    if value not in ("debug", "info", "warning", "error"):
        raise Misfit("must be debug, info, warning or error", value)
    return str(value)


def log_format(value: Any) -> str:
    """How log records are shown."""
    if value not in ("text", "json"):
        raise Misfit("must be text or json", value)
    return str(value)


def limits(value: Any) -> dict[str, int]:
    """A number by executor id."""
    return _each(count, value)


def policies(value: Any) -> dict[str, dict[str, Any]]:
    """Options by the policy's name."""
    return _each(_options, value)


def executor_policies(value: Any) -> dict[str, dict[str, dict[str, Any]]]:
    """Options by executor id and the policy's name."""
    return _each(policies, value)


def plugin_choice(value: Any) -> PluginChoice:
    """The table `plugins`."""
    if isinstance(value, PluginChoice):
        return value
    table = _table(value)
    for key, inner in table.items():
        if key not in ("allow", "block", "strict"):
            raise Misfit("is unknown; the table has allow, block and strict", inner, key)
    return PluginChoice(
        allow=_inside("allow", names, table.get("allow", ())),
        block=_inside("block", names, table.get("block", ())),
        strict=_inside("strict", flag, table.get("strict", False)),
    )


def storage_url(value: Any) -> str:
    """The URL of a storage; a path is the URL of a SQLite file, a relative one counted from the working directory."""
    if not isinstance(value, str | Path) or not str(value).strip():
        raise Misfit("must be a path or a URL", value)
    text = str(value)
    if text == ":memory:":
        raise Misfit("a storage in memory is called memory:", text)
    # Two characters at least: `C:` is a drive.
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text):
        return text
    return f"sqlite:///{Path(text).expanduser().absolute().as_posix()}"


def server_url(value: Any) -> str:
    """The URL of a server, up to where its routes begin; ends with a slash."""
    text = str(value)
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        parts, fits = urlsplit(""), False
    if not fits or parts.username is not None or parts.query or parts.fragment or any(map(str.isspace, text)):
        raise Misfit("must be the URL of a server, as https://flow.example.com, without user, password or query", value)
    return f"{text.rstrip('/')}/"


def token(value: Any) -> str:
    """A credential for a server."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value or not value:
        raise Misfit("must be a token: printable ASCII without spaces", "***")
    return str(value)


def _whole(value: Any, minimum: int) -> int:
    number = plain(value)
    if type(number) is not int or number < minimum:
        raise Misfit(f"must be a whole number of at least {minimum}", number)
    return number


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _options(value: Any) -> dict[str, Any]:
    return dict(plain(_table(value)))


def _each(convert: Callable[[Any], T], value: Any) -> dict[str, T]:
    return {key: _inside(key, convert, inner) for key, inner in _table(value).items()}


def _inside(key: str, convert: Callable[[Any], T], value: Any) -> T:
    try:
        return convert(value)
    except Misfit as misfit:
        raise Misfit(misfit.rule, misfit.value, key, *misfit.path) from None


def _table(value: Any) -> Mapping[str, Any]:
    table = plain(value) if isinstance(value, EnvText) else value
    if not isinstance(table, Mapping):
        raise Misfit("must be a table", table)
    return table


def _toml(text: str) -> Any:
    import tomllib  # noqa: PLC0415 - most starts read no TOML

    try:
        value = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return str(text)
    # A line break in the text would begin another entry.
    return value["value"] if len(value) == 1 else str(text)
