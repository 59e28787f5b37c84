"""A function of the application's own, by the name that the configuration gives it."""

import sys

import pytest

from mailer.config import load
from mailer.errors import ConfigError
from mailer.worker.named import folder_on_path, named


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A package beside ``mailer.toml``, forgotten at the end."""
    (tmp_path / "shop_for_named").mkdir()
    (tmp_path / "shop_for_named/__init__.py").write_text("")
    (tmp_path / "shop_for_named/mail.py").write_text(
        "NUMBER = 7\ndef told(event): return event\nclass Teller:\n    def __call__(self): ...\n"
        "teller = Teller()\n"
    )
    (tmp_path / "shop_for_named/broken.py").write_text("raise RuntimeError('no database')\n")
    (tmp_path / "shop_for_named/lacking.py").write_text("import no_such_package_at_all\n")
    (tmp_path / "mailer.toml").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("shop_for_named")]:
        del sys.modules[name]


@pytest.mark.parametrize("path", ["shop_for_named.mail:told", "shop_for_named.mail.told"])
def test_a_function_is_found_by_either_way_of_writing_its_name(shop, path):
    assert named(path, "mailer.toml: alerts.hook")(5) == 5


def test_anything_that_can_be_called_will_do(shop):
    assert callable(named("shop_for_named.mail:teller", "place"))
    assert named("builtins:print", "place") is print


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("told", "'told' names no function; write package.module:function"),
        ("", "'' names no function; write package.module:function"),
        ("shop_for_named.mail:tld", "'shop_for_named.mail:tld' cannot be imported: "),
        ("shop_for_named.post:told", "'shop_for_named.post:told' cannot be imported: "),
        ("no_such_package:told", "'no_such_package:told' cannot be imported: "),
        (
            "shop_for_named.lacking:told",
            "cannot be imported: No module named 'no_such_package_at_all'",
        ),
        ("shop_for_named.mail:NUMBER", "'shop_for_named.mail:NUMBER' is no function"),
    ],
)
def test_what_is_no_function_is_refused_with_its_place_in_the_configuration(shop, path, said):
    with pytest.raises(ConfigError) as caught:
        named(path, "mailer.toml: alerts.hook")
    assert str(caught.value).startswith("mailer.toml: alerts.hook: ")
    assert said in str(caught.value)


def test_what_the_module_itself_raises_is_not_called_a_wrong_name(shop):
    with pytest.raises(RuntimeError, match="no database"):
        named("shop_for_named.broken:told", "place")


def test_a_module_beside_the_configuration_is_found_and_the_path_is_as_before(shop, monkeypatch):
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(shop)])
    before = list(sys.path)
    settings = load(shop / "mailer.toml", {})
    with pytest.raises(ConfigError):
        named("shop_for_named.mail:told", "place")
    with folder_on_path(settings):
        assert sys.path[0] == str(shop.resolve())
        assert named("shop_for_named.mail:told", "place")(1) == 1
    assert sys.path == before
    with pytest.raises(ZeroDivisionError), folder_on_path(settings):
        _ = 1 / 0
    assert sys.path == before
