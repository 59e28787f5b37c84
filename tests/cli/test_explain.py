"""`mailer explain`: the worker's own judgement, for people and for programs."""

import json


def test_says_action_and_rule(mailer):
    done = mailer("explain", "AUTH", "535 5.7.8 Authentication credentials invalid")
    assert done.code == 0
    action, rule, *_ = done.out.splitlines()
    assert action == "auth_fail"
    assert rule.startswith("rule: ")


def test_json_has_action_and_rule(mailer):
    done = mailer("explain", "rcpt", "450 4.2.0 Greylisted, try again later", "--json")
    found = json.loads(done.out)
    assert found["action"] == "retry_later"
    assert found["rule"]


def test_provider_may_be_any_name(mailer):
    words = ["explain", "final", "554 5.0.0 rejected", "--json", "--provider"]
    general = json.loads(mailer(*words[:-1]).out)
    assert json.loads(mailer(*words, "Nobody's Mail Service").out) == general


def test_reply_may_have_several_lines(mailer):
    done = mailer("explain", "AUTH", r"534-5.7.9 Application-specific\n534 5.7.9 password required")
    assert done.out.startswith("auth_fail")


def test_rules_of_the_configuration_come_first(mailer, place):
    with (place / "mailer.toml").open("a") as file:
        file.write('[[rules]]\nname = "ours"\ntext = "blue moon"\naction = "account_quota"\n')
    done = mailer("explain", "final", "554 not before the Blue Moon", "--json")
    assert json.loads(done.out) == {"action": "account_quota", "rule": "ours"}


def test_needs_neither_configuration_nor_redis(mailer, place):
    (place / "mailer.toml").unlink()
    assert mailer("explain", "final", "250 ok").out.startswith("ok")
