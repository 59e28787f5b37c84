"""The configuration: what it accepts, how it refuses, and that it keeps secrets."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import smtp
from mailer.config import Account, Rate, Secret, Security, Settings, duration, load
from mailer.config.account import TITLE
from mailer.deliver import server as servers
from mailer.errors import ConfigError, SecretUnavailableError
from mailer.smtp.login import sasl

ACCOUNT = """
[accounts.primary]
url = "smtp+starttls://news@smtp.example.com:587"
password_env = "SMTP_PASSWORD"
"""


@pytest.fixture
def toml(tmp_path):
    """Write a mailer.toml and give its path."""

    def write(text):
        file = tmp_path / "mailer.toml"
        file.write_text(text)
        return file

    return write


def faults(file, environ=None, **options):
    """The lines of the error that loading *file* raises."""
    with pytest.raises(ConfigError) as error:
        load(file, environ or {}, **options)
    return str(error.value).splitlines()


# What is found and where.


def test_without_a_file_there_are_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load(environ={})
    assert settings.redis == "redis://localhost:6379/0"
    assert settings.broker_url == settings.redis
    assert settings.accounts == {}
    assert settings.file is None
    assert settings.templates == tmp_path / "templates"


def test_a_mailer_toml_in_the_current_folder_is_read(toml, monkeypatch):
    file = toml("batch_size = 7")
    monkeypatch.chdir(file.parent)
    assert load(environ={}).batch_size == 7


def test_mailer_config_names_the_file(toml):
    assert load(environ={"MAILER_CONFIG": str(toml("batch_size = 8"))}).batch_size == 8


def test_a_file_that_was_named_must_exist(tmp_path):
    with pytest.raises(ConfigError, match=r"MAILER_CONFIG: there is no configuration file .*gone"):
        load(environ={"MAILER_CONFIG": str(tmp_path / "gone.toml")})


def test_broken_toml_is_refused_with_its_line(toml):
    assert "mailer.toml: is not valid TOML" in faults(toml("a = \nb = 1"))[0]
    assert "line 1" in faults(toml("a = \nb = 1"))[0]


def test_a_word_processors_quotes_are_named(toml):
    assert faults(toml("sender = “Ada <ada@example.org>”"))[0].endswith('; write " instead of “')
    assert "instead" not in faults(toml("# “\na = \n"))[0]


def test_notepads_mark_in_front_is_no_fault(toml):
    assert load(toml("\ufeffbatch_size = 7"), {}).batch_size == 7


def test_paths_start_at_the_folder_of_the_file(toml):
    file = toml(ACCOUNT.replace("password_env", "password_file"))
    settings = load(file, {})
    assert settings.templates == file.parent / "templates"
    assert settings.accounts["primary"].password_file == file.parent / "SMTP_PASSWORD"


def test_the_url_says_how_where_and_who(toml):
    account = load(toml(ACCOUNT), {}).account("primary")
    assert (account.security, account.host, account.port, account.user) == (
        Security.STARTTLS,
        "smtp.example.com",
        587,
        "news",
    )


@pytest.mark.parametrize(
    ("url", "port"),
    [("smtps://u@h.example", 465), ("smtp+starttls://u@h.example", 587), ("smtp://u@[::1]", 25)],
)
def test_each_scheme_has_its_port(toml, url, port):
    account = load(toml(f'[accounts.a]\nurl = "{url}"\npassword_env = "X"'), {}).account("a")
    assert account.port == port


def test_a_user_may_have_an_at_sign(toml):
    text = ACCOUNT.replace("news@", "news%40shop.example@")
    assert load(toml(text), {}).account("primary").user == "news@shop.example"


def test_an_unknown_account_is_named_with_its_nearest(toml):
    with pytest.raises(ConfigError, match=r"no account 'primry'; did you mean 'primary'\?"):
        load(toml(ACCOUNT), {}).account("primry")


def test_a_domain_is_found_by_name_or_by_its_group(toml):
    settings = load(
        toml(
            '[domains."gmail.com"]\nrate = "5/second"\n'
            '[domains.microsoft]\ngroup = ["outlook.com", "Hotmail.com"]\nconnections = 3\n'
        ),
        {},
    )
    assert settings.domain("GMAIL.com")[0] == "gmail.com"
    assert settings.domain("hotmail.com")[1].connections == 3
    assert settings.domain("example.org") is None


# The environment.


def test_every_value_can_come_from_the_environment(toml):
    environ = {
        "MAILER_REDIS": "rediss://:secret@redis.example/1",
        "MAILER_BATCH_SIZE": "50",
        "MAILER_ACCOUNTS__PRIMARY__MAX_CONNECTIONS": "3",
        "MAILER_ACCOUNTS__PRIMARY__DEBUG": "true",
        "MAILER_ACCOUNTS__PRIMARY__RATE": '["14/second", "50000/day"]',
        "MAILER_ACCOUNTS__PRIMARY__WARMUP": "100, 500, 2000",
        "MAILER_ACCOUNTS__SECOND__URL": "smtp://localhost:2525",
        "MAILER_RETRY__FIRST_DELAY": "5m",
        "MAILER_ALERTS__COMMAND": "notify --to ops",
        "MAILER_DOMAINS": '{"gmail.com" = {rate = "1/second"}}',
    }
    settings = load(toml(ACCOUNT), environ)
    primary = settings.account("primary")
    assert settings.redis.startswith("rediss://")
    assert settings.batch_size == 50
    assert (primary.max_connections, primary.debug, primary.warmup) == (3, True, (100, 500, 2000))
    assert primary.rate == (Rate(14, 1), Rate(50000, 86400))
    assert settings.account("second").port == 2525
    assert settings.retry.first_delay == 300.0
    assert settings.alerts.command == ("notify", "--to", "ops")
    assert settings.domain("gmail.com")[1].rate == (Rate(1, 1),)


def test_names_with_dashes_and_dots_are_reached_by_underscores(toml):
    text = ACCOUNT.replace("primary", "my-shop") + '[domains."gmail.com"]\nconnections = 1\n'
    environ = {
        "MAILER_ACCOUNTS__MY_SHOP__MAX_CONNECTIONS": "4",
        "MAILER_DOMAINS__GMAIL_COM__CONNECTIONS": "9",
    }
    settings = load(toml(text), environ)
    assert settings.account("my-shop").max_connections == 4
    assert settings.domain("gmail.com")[1].connections == 9


def test_a_fault_in_the_environment_names_the_variable(toml):
    environ = {"MAILER_ACCOUNTS__PRIMARY__MAX_CONNECTIONS": "many"}
    assert faults(toml(ACCOUNT), environ) == [
        "MAILER_ACCOUNTS__PRIMARY__MAX_CONNECTIONS: must be a whole number, got 'many'"
    ]


def test_a_slip_in_a_variable_is_found_and_strangers_are_left_alone(toml):
    assert faults(toml(ACCOUNT), {"MAILER_BATCHSIZE": "3"}) == [
        "MAILER_BATCHSIZE: unknown setting; did you mean MAILER_BATCH_SIZE?"
    ]
    load(toml(ACCOUNT), {"MAILER_FROM_ANOTHER_PROGRAM": "x"})


def test_a_variable_that_holds_a_secret_is_no_setting(toml):
    text = ACCOUNT.replace("SMTP_PASSWORD", "MAILER_REDI")
    load(toml(text), {"MAILER_REDI": "hunter2"})


# How it refuses.


def test_all_faults_are_named_at_once_one_line_each(toml):
    file = toml(
        """
btch_size = 3
[accounts.primary]
url = "smtp+starttls://news@smtp.example.com"
max_connections = 0
rate = ["14/second", "5/fortnight"]
debug = "yes"
[accounts.other]
url = "smtp://mail.example.com"
chunking = 1
[retry]
first_delay = "2x"
"""
    )
    assert faults(file) == [
        "mailer.toml: accounts.primary.max_connections: must be ≥ 1, got 0",
        (
            "mailer.toml: accounts.primary.rate: must be a rate such as "
            '"14/second" or "50000/day", got \'5/fortnight\''
        ),
        "mailer.toml: accounts.primary.debug: must be true or false, got 'yes'",
        "mailer.toml: accounts.other.chunking: must be true or false, got 1",
        (
            'mailer.toml: retry.first_delay: must be seconds or a duration such as "90s", "15m", '
            '"2h", "5d", got \'2x\''
        ),
        "mailer.toml: btch_size: unknown key; did you mean 'batch_size'?",
        (
            "mailer.toml: accounts.primary: has a user and no secret; "
            "set password_env, _file or _command"
        ),
        (
            "mailer.toml: accounts.other: url: smtp:// would send mail and password unencrypted to "
            "mail.example.com; use smtp+starttls:// or smtps://, or set plaintext = true"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("accounts = 3", "accounts: must be a table"),
        ("[accounts.a]", "accounts.a.url: is required"),
        ("[accounts]\na = 3", "accounts.a: must be a table"),
        ('redis = "http://x"', "redis: must begin with one of redis://"),
        ("redis = 3", "redis: must be a string"),
        ('batch_size = "many"', "batch_size: must be a whole number, got 'many'"),
        ("batch_size = 1.5", "batch_size: must be a whole number, got 1.5"),
        ("batch_size = true", "batch_size: must be a whole number, got true"),
        ("batch_size = 20000", "batch_size: must be ≤ 10000, got 20000"),
        (
            '[feedback.policy]\nmailbox_full = "sometimes"',
            'feedback.policy: mailbox_full: \'sometimes\' is no rule; write "never", "at once"',
        ),
        ('[feedback.policy]\nmailbox_ful = "never"', "feedback.policy: 'mailbox_ful' is no reason"),
        (
            '[feedback.policy]\nsender_refused = "at once"',
            "feedback.policy: sender_refused is about who sends",
        ),
        ('[feedback.policy]\nunsubscribe = "never"', "feedback.policy: unsubscribe is honoured"),
        ('[feedback]\npolicy = "never"', "feedback.policy: must be a table of reasons"),
        (
            '[unsubscribe.lists]\nnews = "Shop news"',
            "unsubscribe.lists: 'news' is no List-ID",
        ),
        ("[retry]\njitter = 2", "retry.jitter: must be ≤ 1, got 2"),
        ("[retry]\nfactor = 0.5", "retry.factor: must be ≥ 1, got 0.5"),
        ("[worker]\nlease = 0", "worker.lease: must be > 0, got 0"),
        ("[worker]\nleese = 1", "worker.leese: unknown key; did you mean 'lease'?"),
        ('[accounts.a]\nurl = "smtp://localhost"\nname = "b"', "accounts.a.name: unknown key"),
        (
            '[accounts.a]\nurl = "ftp://x"',
            "accounts.a.url: must begin with one of smtp+starttls://",
        ),
        ('[accounts.a]\nurl = "smtps://"', "accounts.a.url: names no host"),
        (
            '[accounts.a]\nurl = "smtps://smtp..example"',
            "accounts.a.url: names a host that can be none",
        ),
        (
            f'[accounts.a]\nurl = "smtps://{"a" * 64}.example"',
            "accounts.a.url: names a host that can",
        ),
        (
            '[accounts.a]\nurl = "smtps://h"\ntls_name = "*.example"',
            "accounts.a.tls_name: is no name of a host",
        ),
        ('[accounts.a]\nurl = "smtps://h:99999"', "accounts.a.url: has a port that is no number"),
        ('[accounts.a]\nurl = "smtps://h/x"', "accounts.a.url: has something after host and port"),
        (
            '[accounts.a]\nurl = "smtps://you:pa#ss@h"',
            "accounts.a.url: has a /, ? or # before its @: in a user write %2F, %3F or %23; a password",
        ),
        ('[retention]\nledgr = "1d"', "retention.ledgr: unknown key; did you mean 'ledger'?"),
        ('[web]\nulr = "x"', "web.ulr: unknown key; did you mean 'url'?"),
        (
            '[accounts.a]\nurl = "smtp://localhost"\nresets = "midnight"',
            'accounts.a.resets: must be "rolling" or a time with its zone',
        ),
        (
            '[accounts.a]\nurl = "smtp://localhost"\nresets = "00:00 Mars/Olympus"',
            "accounts.a.resets: names no time zone that is known here",
        ),
        (
            '[accounts.a]\nurl = "smtp://localhost"\nmechanism = "NTLM"',
            "accounts.a.mechanism: must be 'PLAIN', 'LOGIN'",
        ),
        (
            '[accounts.a]\nurl = "smtp://localhost"\ndsn = ["never", "delay"]',
            'accounts.a: dsn: "never" stands alone',
        ),
        (
            '[accounts.a]\nurl = "smtps://u@h"\npassword_env = "A"\npassword_file = "b"',
            "accounts.a: password_env and password_file are both given; keep one",
        ),
        (
            '[accounts.a]\nurl = "smtps://u@h"\nusername = "v"\npassword_env = "A"',
            "accounts.a: username differs from the one in url",
        ),
        (
            '[accounts.a]\nurl = "smtps://h"\npassword_env = "A"',
            "accounts.a: has a secret and no user",
        ),
        (
            '[accounts.a]\nurl = "smtps://u@h"\ntoken_url = "https://t"',
            "accounts.a: token_url wants client_id and a refresh_token_env",
        ),
        (
            (
                '[accounts.a]\nurl = "smtps://u@h"\ntoken_url = "http://t"\nclient_id = "c"\n'
                'refresh_token_env = "R"'
            ),
            "accounts.a: token_url must be an https:// address",
        ),
        (
            '[domains.x]\ngroup = ["a.example"]\n[domains."a.example"]\nconnections = 1',
            "domains.a.example: a.example is in x already",
        ),
        (
            '[accounts.a]\nurl = "smtp://localhost"\npreset = "nosuch"',
            "accounts.a.preset: no preset 'nosuch'",
        ),
    ],
)
def test_each_fault_says_file_key_and_reason(toml, text, fault):
    lines = faults(toml(text))
    assert len(lines) == 1
    assert lines[0].startswith(f"mailer.toml: {fault}")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "a.localhost"])
def test_plain_smtp_is_for_this_machine(toml, host):
    load(toml(f'[accounts.a]\nurl = "smtp://{host}:2525"'), {})


def test_plain_smtp_to_elsewhere_wants_to_be_said(toml):
    text = '[accounts.a]\nurl = "smtp://mail.example.com"\n'
    assert "would send mail and password unencrypted" in faults(toml(text))[0]
    load(toml(text + "plaintext = true"), {})


# Secrets.


@pytest.mark.parametrize("key", ["password", "token", "client_secret", "refresh_token"])
def test_a_secret_in_the_file_is_refused_and_not_repeated(toml, key):
    lines = faults(toml(f'[accounts.a]\nurl = "smtp://localhost"\n{key} = "hunter2"'))
    assert lines == [
        (
            f"mailer.toml: accounts.a.{key}: a secret may not stand here; "
            f"use {key}_env, {key}_file or {key}_command"
        )
    ]


def test_a_password_in_the_url_is_refused_and_not_repeated(toml):
    line = faults(toml('[accounts.a]\nurl = "smtps://news:hunter2@smtp.example.com"'))[0]
    assert "holds a password; move it to password_env" in line
    assert "hunter2" not in line


def test_producers_need_no_secrets_and_workers_miss_each(toml, tmp_path):
    text = ACCOUNT + (
        '[accounts.b]\nurl = "smtps://u@h"\npassword_file = "gone"\n'
        '[accounts.c]\nurl = "smtps://u@h"\npassword_command = "no-such-program --x"\n'
    )
    load(toml(text), {})
    assert faults(toml(text), secrets=True) == [
        "mailer.toml: accounts.primary.password_env: the environment has no variable SMTP_PASSWORD",
        (f"mailer.toml: accounts.b.password_file: cannot read it: no such file in {tmp_path}"),
        "mailer.toml: accounts.c.password_command: cannot run it: no such program",
    ]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("pw\n", "pw"),
        ("pw\r\n", "pw"),
        ("pw\n\n", "pw\n"),
        (" pw ", " pw "),
        ("pw\r", "pw"),
        ("\ufeffpw\r\n", "pw"),
        ("p\rw", "p\rw"),
        ("pässwörd", "pässwörd"),
    ],
)
def test_one_newline_at_the_end_is_no_part_of_a_secret(tmp_path, written, read):
    file = tmp_path / "secret"
    file.write_bytes(written.encode())
    assert Secret("k", file=file).read() == read


ODD = "pä:ß/#@%\"' =&+?[]{}$`€\N{GRINNING FACE}"


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
@pytest.mark.parametrize("way", ["env", "file", "command"])
def test_a_secret_is_the_same_whatever_the_locale_and_the_place(tmp_path, way, locale):
    file = tmp_path / "s"
    file.write_bytes(ODD.encode() + b"\n")
    file.chmod(0o600)
    place = {"env": "'ODD'", "file": f"Path({str(file)!r})", "command": f"('cat', {str(file)!r})"}
    script = (
        "from pathlib import Path; from mailer.config import Secret; "
        f"print(Secret('k', {way}={place[way]}).read().encode().hex())"
    )
    environ = {**os.environ, "ODD": ODD, "LC_ALL": locale, "PYTHONUTF8": "0"}
    environ |= {"PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, check=True, text=True
    )
    assert bytes.fromhex(done.stdout).decode() == ODD


@pytest.mark.parametrize("octets", [b"hunter2\n\n", b"user\nhunter2", b"hunter2\0", b"a\rb"])
def test_a_password_of_several_lines_is_refused_before_a_server_hears_it(toml, tmp_path, octets):
    file = tmp_path / "s"
    file.write_bytes(octets)
    text = ACCOUNT.replace('password_env = "SMTP_PASSWORD"', 'password_file = "s"')
    (line,) = faults(toml(text), secrets=True)
    assert "accounts.primary.password_file: the secret has several lines, or a NUL" in line
    assert "hunter2" not in line
    with pytest.raises(ConfigError, match="several lines"):
        _ = load(toml('redis_password_file = "s"\n'), {}).redis_url


def test_octets_of_the_environment_that_are_no_text_are_refused_without_them(monkeypatch):
    monkeypatch.setitem(os.environb, b"BINARY", b"hunter2\xff")
    with pytest.raises(ConfigError, match="k_env: the secret is not UTF-8 text") as error:
        Secret("k", env="BINARY").read()
    assert error.value.__cause__ is None
    assert error.value.__context__ is None


def test_a_secret_is_read_when_it_is_used(toml, monkeypatch):
    account = load(toml(ACCOUNT), {}).account("primary")
    for password in ("old", "new"):
        monkeypatch.setenv("SMTP_PASSWORD", password)
        assert account.password() == password


def test_a_command_prints_the_secret_and_no_shell_sees_it(toml):
    program = "import sys; print(sys.argv[1])"
    words = f"['{sys.executable}', '-c', '{program}', '$HOME;x']"
    text = ACCOUNT.replace('password_env = "SMTP_PASSWORD"', f"password_command = {words}")
    assert load(toml(text), {}).account("primary").password() == "$HOME;x"


def test_what_a_failing_command_printed_is_in_no_error():
    words = (sys.executable, "-c", "import sys; print('hunter2'); sys.exit('hunter3')")
    with pytest.raises(ConfigError, match=r"^k_command: cannot run .*: exit status 1$"):
        Secret("k", command=words).read()


def test_an_empty_secret_is_none(tmp_path):
    (tmp_path / "s").write_text("\n")
    with pytest.raises(ConfigError, match="k_file: the secret is empty"):
        Secret("k", file=tmp_path / "s").read()


def test_a_secret_that_is_binary_is_refused_without_its_bytes(tmp_path):
    (tmp_path / "s").write_bytes(b"hunter2\xff")
    with pytest.raises(ConfigError, match=r"k_file: the secret is not UTF-8 text") as error:
        Secret("k", file=tmp_path / "s").read()
    assert "hunter2" not in str(error.value)


def test_no_repr_shows_a_secret(toml, monkeypatch):
    monkeypatch.setenv("SMTP_PASSWORD", "hunter2")
    settings = load(toml(ACCOUNT), {"MAILER_REDIS": "redis://:hunter2@h/0"})
    server = servers.server(settings.account("primary"))
    assert "hunter2" not in f"{settings!r} {settings} {server!r}"


# What the SMTP wing gets.


def test_an_account_becomes_a_server(toml, monkeypatch):
    monkeypatch.setenv("SMTP_PASSWORD", "hunter2")
    text = ACCOUNT + (
        'max_connections = 3\nmax_idle = "1m"\ndisable_extensions = ["pipelining"]\n'
        'dsn = ["failure", "delay"]\ndsn_return = "full"\n[accounts.primary.timeouts]\nfinal = "5m"\n'
    )
    server = servers.server(load(toml(text), {}).account("primary"))
    assert server.security is smtp.Security.STARTTLS
    assert (server.name, server.host, server.port) == ("primary", "smtp.example.com", 587)
    assert (server.username, server.password()) == ("news", "hunter2")
    assert (server.max_connections, server.max_idle, server.timeouts.final) == (3, 60.0, 300.0)
    assert server.disable_extensions == {"PIPELINING"}
    assert server.dsn == smtp.Dsn(notify=("FAILURE", "DELAY"), ret="FULL")


def test_oauth_asks_for_a_token_with_the_secrets_of_that_moment(toml, monkeypatch):
    text = (
        '[accounts.a]\nurl = "smtps://me@smtp.example.com"\ntoken_url = "https://login.example/token"\n'
        'client_id = "us"\nclient_secret_env = "CLIENT"\nrefresh_token_env = "REFRESH"\nscope = "mail"\n'
    )
    account = load(toml(text), {}).account("a")
    monkeypatch.setenv("CLIENT", "hunter2")
    monkeypatch.setenv("REFRESH", "hunter3")
    assert servers._grant(account) == {
        "grant_type": "refresh_token",
        "refresh_token": "hunter3",
        "client_id": "us",
        "client_secret": "hunter2",
        "scope": "mail",
    }
    server = servers.server(account)
    assert server.password is None
    assert "hunter" not in repr(server.token)


@pytest.mark.parametrize("way", ["env", "file", "command"])
def test_oauth_token_comes_from_where_the_account_says(toml, tmp_path, monkeypatch, way):
    monkeypatch.setenv("TOKEN", "ya29")
    (tmp_path / "token").write_text("ya29\n")
    places = {"env": '"TOKEN"', "file": '"token"', "command": '["echo", "ya29"]'}
    text = f'[accounts.a]\nurl = "smtps://me@h.example"\ntoken_{way} = {places[way]}\n'
    assert servers.server(load(toml(text), {}).account("a")).token(False) == "ya29"


def test_defaults_of_both_vocabularies_agree(toml):
    ours = servers.server(load(toml(ACCOUNT), {}).account("primary"), grace=7.0)
    timeouts = smtp.Timeouts(patience=servers.LONGEST_WAIT, grace=7.0)
    plain = smtp.Server(name="primary", host="h", port=1, timeouts=timeouts)
    for field in (
        "max_connections",
        "max_messages_per_connection",
        "max_age",
        "max_idle",
        "chunking",
        "chunking_window",
        "disable_extensions",
        "debug",
        "dsn",
        "timeouts",
    ):
        assert getattr(ours, field) == getattr(plain, field), field


def test_a_users_rule_is_checked_with_its_place(toml):
    settings = load(toml('[[rules]]\naction = "explode"\ntext = "x"'), {})
    with pytest.raises(ConfigError, match=r"mailer\.toml: rules\[1\]: no action"):
        servers.rules(settings)


# Values.


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("5d", 432000),
        ("1h 30m", 5400),
        ("250ms", 0.25),
    ],
)
def test_durations_are_seconds_with_or_without_units(text, seconds):
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["", "x", "5 parsecs", "-3", "1h30", True, None, []])
def test_what_is_no_duration_says_what_would_be_one(value):
    with pytest.raises(ValueError, match="must be seconds or a duration such as"):
        duration(value)


@given(st.integers(1, 10**9), st.sampled_from([1, 60, 3600, 86400]), st.integers(1, 90))
def test_a_rate_reads_what_it_writes(count, period, times):
    rate = Rate(count, period * times)
    assert Rate.parse(str(rate)) == rate


@given(st.text())
def test_any_text_is_a_rate_or_a_clear_refusal(text):
    try:
        rate = Rate.parse(text)
    except ValueError as error:
        assert "must be a rate" in str(error)  # noqa: PT017 - or none is raised
    else:
        assert rate.count > 0
        assert rate.seconds > 0


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", categories=("L", "N", "P"), exclude_characters="\0=")),
        st.text(st.characters(codec="ascii", exclude_characters="\0")),
        max_size=5,
    )
)
def test_no_environment_provokes_anything_but_a_configuration_error(variables):
    environ = {f"MAILER_{name.upper()}": value for name, value in variables.items()}
    environ.pop("MAILER_CONFIG", None)
    try:
        load(environ=environ)
    except ConfigError as error:
        assert re.match(r"(MAILER_|environment)", str(error))  # noqa: PT017 - as above


def test_settings_are_frozen(toml):
    settings = load(toml(ACCOUNT), {})
    with pytest.raises(ValueError, match="frozen"):
        settings.batch_size = 3


def test_a_file_that_cannot_be_read_is_named(toml):
    file = toml(ACCOUNT)
    file.write_bytes(b"\xff\xfe")
    assert faults(file) == [f"{file}: is not UTF-8 text"]
    assert stat.S_ISREG(file.stat().st_mode)


def test_every_key_is_documented():
    """Each key of the configuration has its line in docs/configuration.md."""
    text = (Path(__file__).parents[2] / "docs/configuration.md").read_text()
    for name in Settings.model_fields:
        assert f"`{name}`" in text or f"[{name}" in text, name


def test_example_configuration_loads():
    settings = load(Path(__file__).parents[2] / "examples/mailer.toml", {})
    assert settings.account("office").host == "smtp.office365.com"
    assert settings.account("office").uses_oauth
    assert servers.rules(settings)


TYPED = "Tr0ub4dor&3"


@pytest.mark.parametrize("way", ["env", "file", "command"])
@pytest.mark.parametrize("kind", ["password", "token", "client_secret", "refresh_token"])
def test_a_secret_that_was_typed_where_its_place_belongs_is_never_repeated(
    toml, tmp_path, way, kind
):
    text = f'[accounts.a]\nurl = "smtps://u@h.example"\n{kind}_{way} = "{TYPED}"\n'
    if kind not in ("password", "token"):
        text += 'password_env = "P_P"\n'
    account = load(toml(text), {}).account("a")
    said = [*faults(toml(text), secrets=True), repr(account.secret(kind))]
    with pytest.raises(ConfigError) as caught:
        account.secret(kind).read({})
    said.append(str(caught.value))
    assert not [one for one in said if TYPED in one]
    assert TYPED not in repr(account)
    assert f"accounts.a.{kind}_{way}" in said[-1]


@pytest.mark.parametrize(
    "url",
    [
        "smtp+starttls://user:pa/ss@h.example", "smtp+starttls://user:pa#ss@h.example",
        "smtps://user:pa?ss@h.example", "smtp://pa/ss@h.example", "smtp://pa#ss@h.example",
        "smtp://user:12/ss@h.example", "smtps://user:ss@pa@h.example", "pa://user:ss@h.example",
        "smtp://pa[ss@h.example", "user:pass@h.example", "smtp://[pa:ss]@h.example",
    ],
)  # fmt: skip
def test_no_part_of_a_password_in_an_url_is_repeated(toml, url):
    (fault,) = faults(toml(f'[accounts.a]\nurl = "{url}"\n'))
    assert "accounts.a" in fault
    assert not re.search(r"\bpa\b|\bss\b|pass@", fault), fault


@pytest.mark.parametrize(
    "url",
    [
        "redis://:pa/ss@h.example", "redis://:pa#ss@h.example", "redis://user:pa?ss@h.example",
        "rediss://:12/ss@h.example", "redis://:pa[ss@h.example", "redis://h.example:pa",
    ],
)  # fmt: skip
def test_no_part_of_a_password_in_the_address_of_redis_is_repeated(toml, url):
    (fault,) = faults(toml(f'redis = "{url}"\n'))
    assert "redis: " in fault
    assert not re.search(r"\bpa\b|\bss\b", fault), fault


@pytest.mark.parametrize(
    "url",
    [
        "redis://:p%2Fa@h.example:6379/0", "unix:///run/redis.sock?password=p@ss&db=1",
        "sentinel://a:26379,b:26379/main/0", "rediss://user:secret@h.example",
        "redis://[::1]:6379/2",
    ],
)  # fmt: skip
def test_an_address_of_redis_that_is_whole_is_taken(toml, url):
    assert load(toml(f'redis = "{url}"\n'), {}).redis == url


def test_a_secret_file_that_everybody_can_read_is_warned_of_once(tmp_path, caplog):
    file = tmp_path / "password"
    file.write_text("right\n")
    secret = Secret("accounts.a.password", file=file)
    file.chmod(0o644)
    assert [secret.read(), secret.read()] == ["right", "right"]
    (record,) = caplog.records
    assert record.getMessage() == (
        f"accounts.a.password_file: everybody on this machine can read {file}: chmod 600 it"
    )


def test_a_secret_file_of_one_s_own_is_not_warned_of(tmp_path, caplog):
    file = tmp_path / "password"
    file.write_text("right\n")
    file.chmod(0o600)
    assert Secret("accounts.a.password", file=file).read() == "right"
    assert caplog.records == []


@pytest.mark.parametrize("command", [("false",), ("sh", "-c", "kill $$"), ("printf", "")])
def test_a_secret_that_cannot_be_had_now_is_told_from_one_that_never_can(command):
    with pytest.raises(SecretUnavailableError):
        Secret("k", command=command).read()
    with pytest.raises(ConfigError, match="no such program") as caught:
        Secret("k", command=("no-such-program",)).read()
    assert not isinstance(caught.value, SecretUnavailableError)


@pytest.mark.parametrize("way", ["env", "file"])
def test_a_secret_that_another_host_may_have_is_only_unavailable(tmp_path, way):
    secret = Secret("k", env="NO_SUCH_THING") if way == "env" else Secret("k", file=tmp_path / "no")
    with pytest.raises(SecretUnavailableError):
        secret.read({})


def test_external_wants_a_certificate_and_no_password(toml, tmp_path):
    external = '[accounts.a]\nurl = "smtps://u@h"\nmechanism = "external"\n'
    assert "client_cert" in faults(toml(external))[0]
    loaded = load(toml(external + 'client_cert = "c.pem"\ntls_name = "mx.example"\n'), {})
    assert servers.server(loaded.account("a")).tls_name == "mx.example"


def test_the_mechanisms_of_the_configuration_are_those_that_there_are():
    for name in sasl.MECHANISMS:
        assert (
            Account.model_validate(
                {TITLE: "a", "url": "smtps://h", "mechanism": name, "client_cert": "c"}
            ).mechanism
            == name
        )
