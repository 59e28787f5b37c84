"""Presets are data: every one makes an account, every value has its source, a user overrides any."""

import re
from importlib.resources import files

import pytest

from mailer.config import load
from mailer.config.presets import presets
from mailer.errors import ConfigError
from mailer.mail.schedule import Reset
from mailer.store.account_limits import rules
from mailer.store.limit_rules import AccountRules, Cap


def settings(tmp_path, text):
    file = tmp_path / "mailer.toml"
    file.write_text(text)
    return load(file, {"SECRET": "x"})


def account(tmp_path, preset, *lines):
    login = ['username = "me"'] if "username" not in presets()[preset] else []
    text = "\n".join(
        ["[accounts.a]", f'preset = "{preset}"', 'password_env = "SECRET"', *login, *lines]
    )
    return settings(tmp_path, text)


@pytest.mark.parametrize("name", sorted(presets()))
def test_every_preset_makes_an_account_with_a_login_and_nothing_else(tmp_path, name):
    made = account(tmp_path, name).accounts["a"]
    assert made.host
    assert made.port in (465, 587)
    assert made.rules == name


@pytest.mark.parametrize(
    "name", ["ses", "gmail", "microsoft365", "sendgrid", "mailgun", "postmark", "brevo"]
)
def test_the_common_providers_are_known(name):
    assert name in presets()


def test_every_value_has_its_source_or_is_said_to_be_ours():
    """On its own line, or in the remark above it."""
    above = ""
    for line in (files("mailer.config") / "presets.toml").read_text("utf-8").splitlines():
        if re.match(r"\w+ = ", line):
            _, _, remark = line.partition(" # ")
            said = remark + above
            assert re.search(
                r"\bours\b|\.(com|help|org)\b|page|\"|2026|literally|a minute", said
            ), line
        elif line.startswith("#"):
            above += line
        elif not line.strip():
            above = ""


def test_the_users_own_value_wins(tmp_path):
    made = account(tmp_path, "gmail", 'rate = "500/day"', "max_connections = 1").accounts["a"]
    assert [str(rate) for rate in made.rate] == ["500/day"]
    assert made.max_connections == 1
    assert made.host == "smtp.gmail.com"


def test_an_unknown_preset_is_named_with_the_nearest_one(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'microsoft365'"):
        settings(tmp_path, '[accounts.a]\npreset = "microsoft356"\n')


def test_the_configurations_limits_reach_the_store(tmp_path):
    text = """
[accounts.a]
url = "smtp://localhost"
rate = ["14/second", "50000/day"]
resets = "00:00 UTC"
warmup = [100, 500]
[domains.microsoft]
group = ["Outlook.com", "hotmail.com"]
rate = "5/second"
connections = 3
[domains."gmail.com"]
rate = "20/minute"
"""
    found = rules(settings(tmp_path, text))
    assert found.accounts["a"] == AccountRules(
        (Cap(14, 1), Cap(50000, 86400)), Reset.parse("00:00 UTC"), (100, 500)
    )
    assert found.domains["outlook.com"] is found.domains["hotmail.com"]
    assert found.domains["outlook.com"].connections == 3
    assert found.domains["gmail.com"].rates == (Cap(20, 60),)
