"""Which distribution brings what is missing: advice in one line, for errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from apflow.host import Host
from apflow.plugins import PluginState, normalised

EXECUTORS = {
    "aggregate_results_executor": "apflow-aggregate",
    "approval_executor": "apflow-approval",
    "command_executor": "apflow-stdio",
    "rest_executor": "apflow-http",
    "sleep_executor": "apflow-approval",
    "system_info_executor": "apflow-stdio",
}
"""Distribution by executor id."""

STORAGES = {"sqlite": "apflow-sqlite"}
"""Distribution by scheme."""

POLICIES = {"cache": "apflow-cache", "circuit": "apflow-circuit", "limit": "apflow-limit", "retry": "apflow-retry"}
"""Distribution by the policy's name."""

SECRETS = "apflow-secrets"
"""The distribution that knows secrets."""


def missing_executor(id: str, host: Host) -> str:
    """Why there is no such executor, and what to do about it."""
    return _advice("executor", id, EXECUTORS, host.executors, host)


def missing_storage(scheme: str, host: Host) -> str:
    """Why there is no storage of this scheme, and what to do about it."""
    return _advice("storage", scheme, STORAGES, host.storages, host)


def missing_policy(name: str, host: Host) -> str:
    """Why there is no such policy, and what to do about it."""
    return _advice("policy", name, POLICIES, host.policies, host)


def missing_secrets(host: Host) -> str:
    """Why nobody knows secrets, and what to do about it."""
    return f"secrets come with {SECRETS}, {_absence(SECRETS, host)}"


def _advice(kind: str, name: str, known: Mapping[str, str], there: Iterable[str], host: Host) -> str:
    if name in known:
        return f"{kind} {name!r} comes with {known[name]}, {_absence(known[name], host)}"
    names = sorted({*there, *known})
    nearest = get_close_matches(name, names, n=1)
    if nearest:
        return f"no plugin provides the {kind} {name!r}; did you mean {nearest[0]!r}?"
    return f"no plugin provides the {kind} {name!r}; those that there are: {', '.join(sorted(there)) or 'none'}"


def _absence(distribution: str, host: Host) -> str:
    plugins = [plugin for plugin in host.plugins if normalised(plugin.distribution or "") == distribution]
    absent = next((plugin for plugin in plugins if plugin.state is not PluginState.ON), None)
    if absent is not None:
        return f"whose plugin {absent.name!r} is {absent.state}: {absent.reason}"
    return "which is installed in another version" if plugins else "which is not installed"
