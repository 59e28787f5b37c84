"""Which values a preset gives an account: `preset = "ses"` lays them under the account's own."""

import difflib
import tomllib
from functools import cache
from importlib import resources
from typing import Any


@cache
def presets() -> dict[str, dict[str, Any]]:
    """Every preset of `mailer/config/presets.toml` by name; its remarks and sources are left out."""
    file = resources.files("mailer.config") / "presets.toml"
    if not file.is_file():
        return {}
    tables: dict[str, dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8"))
    return tables


def apply_presets(table: dict[str, Any], place: str) -> list[str]:
    """Lay each account's preset under its own values, in place; gives the faults."""
    faults = []
    accounts = table.get("accounts")
    if not isinstance(accounts, dict):
        return []
    for name, account in accounts.items():
        wanted = account.get("preset") if isinstance(account, dict) else None
        if not isinstance(wanted, str):
            continue
        if wanted in presets():
            accounts[name] = {**presets()[wanted], **account}
            continue
        near = difflib.get_close_matches(wanted, presets(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(presets()))}"
        faults.append(f"{place}: accounts.{name}.preset: no preset {wanted!r}; {hint}")
    return faults
