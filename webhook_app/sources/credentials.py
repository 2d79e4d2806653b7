"""The secrets of a source: their names, and the mistakes in what was pasted."""

from collections.abc import Mapping
from typing import Any

from webhook_app.sources.mistakes import collecting
from webhook_app.sources.presets import PRESETS, Preset
from webhook_app.sources.verify.pasted import not_as_issued
from webhook_app.sources.verify.schemes import needs_secrets
from webhook_app.sources.verify.secret_forms import read_secret


def read_secrets(entry: Mapping[str, Any], environ: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    """Return the secrets by name, in order; add their mistakes to ``problems``."""
    if not {"secret", "secrets"} & entry.keys() and not needs_secrets(entry.get("verify")):
        return {}
    written = named_secrets(entry)
    if not written or ("secret" in entry and "secrets" in entry):
        problems.append('secret: set either secret = "$NAME" or secrets = ["$NEW", "$OLD"]')
        return {}
    secrets: dict[str, str] = {}
    for name, text in written.items():
        with collecting(problems, "secret: " if name.startswith("$") else f"{name}: "):
            secrets[name] = read_secret(text, environ)
    problems += [f"{name} {what}" for name, secret in secrets.items() if (what := of_another_kind(entry, secret))]
    return secrets


def of_another_kind(entry: Mapping[str, Any], secret: str) -> str:
    """Return what is wrong with a secret that the product does not issue, or ``""``.

    Standard Webhooks needs none: its secrets are decoded, which these are not.
    """
    preset = issuing_preset(entry)
    if preset is None or preset["verify"] == "standard-webhooks":
        return ""
    return not_as_issued(secret, preset["secret_begins"], preset.get("secret_hint", ""))


def issuing_preset(entry: Mapping[str, Any]) -> Preset | None:
    """Return the preset, if its product issues the secret and its scheme is used."""
    preset = PRESETS.get(entry["preset"]) if isinstance(entry.get("preset"), str) else None
    return preset if preset and "secret_begins" in preset and entry.get("verify") == preset["verify"] else None


def named_secrets(entry: Mapping[str, Any]) -> dict[str, object]:
    """Return the secrets as written, by the names that messages use, in order."""
    if "secrets" not in entry:
        names = ["secret"] if "secret" in entry else []
        written = [entry["secret"]] if names else []
    else:
        written = entry["secrets"] if isinstance(entry["secrets"], list) else []
        names = [f"secrets number {number}" for number in range(1, len(written) + 1)]
    variables = (text if isinstance(text, str) and text.startswith("$") else "" for text in written)
    return {variable or name: text for variable, name, text in zip(variables, names, written, strict=True)}
