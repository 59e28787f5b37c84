"""Commands in the configuration, and where a secret lies: how each may be written, and how not."""

from typing import Any

import pytest

from mailer.config.secrets import Secret
from mailer.config.settings import Settings
from tests.config.test_bounds import refused, tables, variable

ACCOUNT = 'url = "smtps://u@h.example"\n'
BESIDE = {
    "accounts.a": ACCOUNT + 'password_env = "P_W"\n',
    "accounts.a.password_command": ACCOUNT,
    "accounts.a.token_command": ACCOUNT,
    "accounts.a.refresh_token_command": ACCOUNT
    + 'token_url = "https://t.example"\nclient_id = "c"\n',
}
COMMANDS = (
    "redis_password_command",
    "accounts.a.password_command",
    "accounts.a.token_command",
    "accounts.a.client_secret_command",
    "accounts.a.refresh_token_command",
    "unsubscribe.secret_command",
    "feedback.secret_command",
    "feedback.previous_secret_command",
    "feedback.password_command",
    "events.secret_command",
    "webhooks.a.secret_command",
    "alerts.command",
)


def written(key: str, value: str) -> str:
    table, _, name = key.rpartition(".")
    beside = BESIDE.get(key, BESIDE.get(table, ""))
    return (f"[{table}]\n{beside}" if table else "") + f"{name} = {value}\n"


WORDS = ("tell", "--to", "on call", "it's")


AS_LIST = '["tell", "--to", "on call", "it\'s"]'
AS_LINE = """tell --to 'on call' "it's\""""


@pytest.mark.parametrize("key", COMMANDS)
def test_a_command_is_a_list_or_is_split_as_a_shell_would(read, key):
    assert read(key, written(key, AS_LIST)) == WORDS
    assert read(key, written(key, f'''"""{AS_LINE} """''')) == WORDS


@pytest.mark.parametrize("key", COMMANDS)
def test_the_environment_may_write_it_either_way(read, key):
    other = written(key, '["other"]')
    for value in (AS_LIST, AS_LINE):
        assert read(key, other, {variable(key): value}) == WORDS


@pytest.mark.parametrize("key", COMMANDS)
def test_no_shell_is_asked_so_its_signs_stand_for_themselves(read, key):
    words = read(key, written(key, '"tell $HOME ~ * | cat; date > x"'))
    assert words == ("tell", "$HOME", "~", "*", "|", "cat;", "date", ">", "x")


@pytest.mark.parametrize("key", COMMANDS)
def test_a_quote_that_nothing_closes_is_refused_with_what_to_write(read, key):
    said = refused(read, key, written(key, '"tell \'on call"'))
    assert said == (
        f"mailer.toml: {key}: has a quote that nothing closes; write the command as a list of words"
    )


@pytest.mark.parametrize("key", COMMANDS)
@pytest.mark.parametrize("value", ["3", "true", "{}", "[3]", "[[]]"])
def test_what_is_no_command_is_refused_in_one_line(read, key, value):
    said = refused(read, key, written(key, value))
    assert said.startswith(f"mailer.toml: {key}")
    assert ": must be a " in said
    assert "\n" not in said


def commands(model: Any = Settings, place: str = "") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        for below, table in tables(field.annotation):
            found |= commands(table, f"{place}{name}{below}.")
        if name.rpartition("_")[2] == "command":
            found.add(f"{place}{name}")
    return found


def test_every_command_of_the_configuration_is_tried_above():
    assert commands() == set(COMMANDS)


# Where a secret lies.


@pytest.mark.parametrize("way", ["env", "file", "command"])
def test_a_secret_is_read_from_each_place_and_never_stands_in_a_repr(tmp_path, monkeypatch, way):
    monkeypatch.setenv("THE_SECRET", "hunter2")
    (tmp_path / "secret").write_text("hunter2\n")
    (tmp_path / "secret").chmod(0o600)
    places = {"env": "THE_SECRET", "file": tmp_path / "secret", "command": ("echo", "hunter2")}
    secret = Secret("feedback.secret", **{way: places[way]})
    assert secret.read() == "hunter2"
    assert secret
    assert "hunter2" not in repr(secret)
    assert "feedback.secret" in repr(secret)
    assert not Secret("feedback.secret")


@pytest.mark.parametrize("key", [key for key in COMMANDS if key != "alerts.command"])
def test_a_secret_whose_place_is_written_wrongly_is_not_said_to_be_missing_too(read, key):
    kind, beside = key.removesuffix("_command"), BESIDE.get(key, "")
    for way, value in (("env", "3"), ("file", "3"), ("command", "3")):
        text = written(key, "X").replace(f"{key.rpartition('.')[2]} = X", "")
        name = f"{kind.rpartition('.')[2]}_{way}"
        said = refused(read, key, f"{text}{name} = {value}\n")
        assert said.startswith(f"mailer.toml: {kind}_{way}: must be a "), beside
        assert "\n" not in said
