"""Template folders: files, languages, layouts, images, styles, and how faults are told."""

import re

import pytest

from mailer.compose import Attachment
from mailer.errors import InputError, MailerError, TemplateError
from tests.compose.conftest import bytes_of, read, row

BOTH = {"body.html": "<p>{{ name }}</p>", "body.txt": "{{ name }}"}


def html(composer, **fields) -> str:
    body = read(bytes_of(composer, row(**fields))).get_body(("html",))
    return body.get_content().replace("\r\n", "\n")


def text(composer, **fields) -> str:
    body = read(bytes_of(composer, row(**fields))).get_body(("plain",))
    return body.get_content().replace("\r\n", "\n")


def test_html_is_escaped_and_text_and_subject_are_not(make):
    composer = make({**BOTH, "subject.txt": "{{ name }}"})
    message = read(bytes_of(composer, row(name="<A&B>")))
    assert message["Subject"] == "<A&B>"
    assert html(composer, name="<A&B>") == "<p>&lt;A&amp;B&gt;</p>\n"
    assert text(composer, name="<A&B>") == "<A&B>\n"


def test_a_field_of_the_row_lies_over_the_context(make):
    composer = make(
        {"body.txt": "{{ city }} {{ season }}"}, context={"city": "-", "season": "spring"}
    )
    assert text(composer, city="Berlin") == "Berlin spring\n"


def test_what_the_composer_adds_is_there_and_a_field_lies_over_it(make):
    composer = make({"body.txt": "{{ campaign }} {{ recipient_id }} {{ row['x y'] }} {{ locale }}"})
    assert re.fullmatch(r"spring-2026 [0-9a-f]{16} 1 en\n", text(composer, **{"x y": "1"}))
    assert text(composer, **{"x y": "1", "campaign": "own", "recipient_id": "r"}) == "own r 1 en\n"


# Faults.


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"body.txt": "a\n{{ nobody }}"}, r"t/body\.txt:2: 'nobody' is undefined \(row 7\)"),
        ({"body.txt": "{{ name.x }}"}, r"body\.txt:1: 'str object' has no attribute 'x' \(row 7\)"),
        ({"body.txt": "a\n\n{{ 1 / zero }}"}, r"body\.txt:3: ZeroDivisionError.*\(row 7\)"),
        ({"body.html": "{% include 'i.html' %}", "i.html": "\n{{ x }}"}, r"i\.html:2: 'x' is und"),
        (
            {"body.txt": "x", "headers.toml": 'X-A = "{{ nobody }}"'},
            r"'nobody' is undefined \(row 7\)",
        ),
        ({"body.txt": "x", "subject.txt": "a\nb"}, r"header Subject: .* control .* \(row 7\)"),
        ({"body.txt": "{{ 'x'|date }}"}, r"body\.txt:1: ValueError: .*\(row 7\)"),
    ],
)
def test_a_row_that_does_not_fit_names_file_line_and_row(make, files, said):
    composer = make(files)
    for do in (composer.compose, composer.check, composer.email):
        with pytest.raises(TemplateError, match=said):
            do(row(7, zero=0))


def test_a_fault_does_not_tell_the_address(make):
    composer = make({"body.txt": "{{ email|date }}"})
    with pytest.raises(TemplateError) as caught:
        composer.compose(row())
    assert "ada@" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"body.txt": "a\n{% if %}"}, r"t/body\.txt:2: "),
        ({"body.txt": "a\n{{ a|nofilter }}"}, r"t/body\.txt:2: No filter named 'nofilter'"),
        ({"body.html": "{% extends 'no.html' %}", "body.txt": ""}, r"no\.html"),
        ({"body.de.txt": "{% endif %}", "body.txt": ""}, r"t/body\.de\.txt:1: "),
        ({"body.txt": b"a\n\xfc"}, r"t/body\.txt:2: not UTF-8"),
        ({}, r"neither body\.html nor body\.txt"),
        ({"body.txt": "", "headers.toml": "X = 1"}, r"headers\.toml: X must be text"),
        ({"body.txt": "", "headers.toml": "X"}, r"headers\.toml: "),
        ({"body.txt": "", "headers.toml": 'To = "x@y.z"'}, "header To is set by the mailer itself"),
        ({"body.txt": "", "headers.toml": 'Precedence = "x"'}, "Precedence is there twice"),
        ({"body.html": "<img src='cid:no.png'>"}, r"the image 'no\.png' is not in"),
        ({"body.mjml": "<mjml><mj-body>"}, r"body\.mjml:1: not valid MJML"),
    ],
)
def test_a_broken_template_is_refused_before_the_first_recipient(make, files, said):
    with pytest.raises(MailerError, match=said):
        make(files).compose(row())


def test_a_template_that_is_not_there_names_those_that_are(make):
    with pytest.raises(TemplateError, match=r"there is no template 'news'.*there are: t"):
        make({"body.txt": ""}, template="news")


@pytest.mark.parametrize("name", ["../t", "t/../..", "", "/etc"])
def test_a_template_lies_below_the_templates(make, name):
    with pytest.raises(TemplateError):
        make({"body.txt": ""}, template=name)


@pytest.mark.parametrize("name", ["../../secret.txt", "/etc/passwd", "t/../../secret.txt"])
def test_nothing_outside_the_templates_can_be_included(make, tmp_path, name):
    (tmp_path / "secret.txt").write_text("secret")
    with pytest.raises(TemplateError):
        make({"body.txt": f"{{% include {name!r} %}}"}).compose(row())


# Languages.


def test_the_row_picks_the_language_and_falls_back(make):
    composer = make(
        {
            "subject.txt": "Hello",
            "subject.de.txt": "Hallo",
            "body.txt": "en",
            "body.pt-BR.txt": "br",
        }
    )
    subjects = {
        tag: read(bytes_of(composer, row(language=tag)))["Subject"]
        for tag in ("de", "DE", "de-AT", "de_CH", "fr", "", None, 5, "../x")
    }
    assert subjects == {
        "de": "Hallo", "DE": "Hallo", "de-AT": "Hallo", "de_CH": "Hallo",
        "fr": "Hello", "": "Hello", None: "Hello", 5: "Hello", "../x": "Hello",
    }  # fmt: skip
    assert text(composer, language="pt-BR") == "br\n"
    assert text(composer, language="pt") == "en\n"


def test_numbers_and_dates_are_written_in_the_language(make):
    composer = make(
        {"body.txt": "{{ n|number }} {{ n|currency('EUR') }} {{ d|date }} {{ 0.5|percent }}"}
    )
    fields = {"n": "1234.5", "d": "2026-03-01"}
    assert text(composer, **fields) == "1,234.5 €1,234.50 Mar 1, 2026 50%\n"
    german = text(composer, **fields, language="de").replace("\xa0", " ")
    assert german == "1.234,5 1.234,50 € 01.03.2026 50 %\n"


def test_the_language_field_and_the_language_can_be_chosen(make):
    composer = make({"body.txt": "{{ locale }}"}, language="de", language_field="lang")
    assert text(composer) == "de\n"
    assert text(composer, lang="fr") == "fr\n"


def test_a_list_with_thousands_of_languages_does_not_fill_the_memory(make):
    composer = make({"body.txt": "x"})
    for number in range(600):
        composer.compose(row(language=f"x{number}"))
    assert len(composer._plans) == 500
    assert len(set(composer._plans.values())) == 1


def test_a_list_with_hundreds_of_real_languages_does_not_either(make):
    composer = make({"body.txt": "{{ locale }}"})
    for number in range(250):
        composer.compose(row(language=f"en-x{number}"))
    assert len(set(composer._plans.values())) <= 201


# Layouts, text, MJML.


def test_layouts_are_shared_and_found_from_the_root(make):
    composer = make(
        {
            "layouts/base.html": "<html>{% block b %}base{% endblock %}</html>",
            "body.html": "{% extends 'layouts/base.html' %}"
            "{% block b %}{{ super() }}+{{ name }}{% endblock %}",
            "body.txt": "x",
        }
    )
    assert html(composer) == "<html>base+Ada</html>\n"


def test_the_text_is_made_from_the_html_when_there_is_none(make):
    composer = make(
        {
            "body.html": "<html><head><title>no</title><style>p{}</style></head><body>"
            "<h1>Hi {{ name }}</h1><p>See <a href='https://x.example/?r={{ name }}'>this</a>"
            " &amp; that.</p><ul><li>one</li></ul></body></html>"
        }
    )
    said = text(composer, name="A&B")
    assert said.startswith("Hi A&B\n")
    assert "See this <https://x.example/?r=A&B> & that." in said
    assert "no" not in said
    assert "{" not in said


def test_mjml_is_compiled_once_and_keeps_its_holes(make):
    composer = make(
        {
            "body.mjml": "<mjml><mj-body><mj-section><mj-column><mj-text>Hi {{ name }}</mj-text>"
            "</mj-column></mj-section></mj-body></mjml>",
            "body.txt": "x",
        }
    )
    page = html(composer, name="A&B")
    assert "Hi A&amp;B" in page
    assert "mj-" not in page.replace("mj-column", "").replace("mj-outlook", "")


def test_control_tags_on_lines_of_their_own_leave_no_blank_lines(make):
    composer = make({"body.txt": "a\n{% if name %}\n{{ name }}\n{% endif %}\nb\n"})
    assert text(composer) == "a\nAda\nb\n"


# Images.


def test_an_image_by_cid_is_embedded_once_and_shared(make):
    composer = make(
        {
            "body.html": "<img src='cid:logo.png' alt=''><img src=\"{{ embed('logo.png') }}\" alt=''>",
            "logo.png": b"PNG",
        }
    )
    message = read(bytes_of(composer, row()))
    (image,) = [part for part in message.walk() if part.get_content_type() == "image/png"]
    content_id = image["Content-ID"].strip("<>")
    assert html(composer).count(f"cid:{content_id}") == 2
    assert content_id.endswith("@shop.example")
    assert list(composer.shared.values()) == [b"UE5H\r\n"]


def test_inline_images_may_come_from_the_caller(make):
    image = Attachment.from_bytes(b"PNG", "chart.png")
    composer = make({"body.html": "<img src='cid:chart.png' alt=''>"}, inline_images=[image])
    assert "cid:chart.png" not in html(composer)
    assert len(composer.shared) == 1


def test_embed_wants_a_name_that_can_be_known_beforehand(make):
    composer = make({"body.html": "{{ embed(name) }}"})
    with pytest.raises(TemplateError, match=r"embed\(\) wants the name of a file in quotes"):
        composer.compose(row())


# Styles.


def test_rules_are_written_onto_elements_across_files(make):
    composer = make(
        {
            "layouts/base.html": "<html><head><style>p { color: red } .big td { margin: 0 }"
            "@media print { p { color: blue } }</style></head><body>"
            "{% block b %}{% endblock %}</body></html>",
            "body.html": "{% extends 'layouts/base.html' %}{% block b %}<p>a</p>"
            "<table class='{{ 'big' }} big'>{% for i in [1, 2] %}<tr><td style='x: y'>{{ i }}</td></tr>"
            "{% endfor %}</table>"
            "{% include 'part.html' %}{% endblock %}",
            "part.html": "<p class='{{ name }}'>b</p>",
            "body.txt": "x",
        }
    )
    page = html(composer)
    assert '<p style="color: red">a</p>' in page
    assert "<p style=\"color: red\" class='Ada'>b</p>" in page
    assert page.count("<td style='margin: 0;x: y'>") == 2
    assert "@media print" in page


def test_nothing_but_style_attributes_is_changed(make):
    body = (
        "<STYLE>b { color: red }</STYLE>\n<P>unclosed<br>&nbsp;&copy <b>x</B>{% if name %}<div>{% else %}"
        "<div class=x>{% endif %}</div><!--[if mso]><b>y</b><![endif]--><tr>{{ name }}<td>no table"
    )
    page = html(make({"body.html": body, "body.txt": "x"}))
    assert (
        page.replace(' style="color: red"', "")
        == body.replace("{% if name %}<div>{% else %}<div class=x>{% endif %}", "<div>").replace(
            "{{ name }}", "Ada"
        )
        + "\n"
    )
    assert '<b style="color: red">x</B>' in page


def test_no_style_sheet_is_fetched(make):
    # A fetch would fail here, and with it the making of the composer.
    link = (
        "<link rel='stylesheet' href='http://127.0.0.1:9/x.css'><style>p{color:red}</style><p>x</p>"
    )
    assert link.split("<p>", maxsplit=1)[0] in html(make({"body.html": link, "body.txt": "x"}))


# The sandbox.


ESCAPES = [
    "{{ ''.__class__.__mro__ }}",
    "{{ name.__class__ }}",
    "{{ items.append(1) }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ '{0.__class__}'.format(name) }}",
    "{% for i in range(10000000) %}{% endfor %}",
]


@pytest.mark.parametrize("body", ESCAPES)
def test_a_template_that_is_not_trusted_cannot_get_out(make, body):
    composer = make({"body.txt": body}, trusted=False, context={"items": [0]})
    with pytest.raises(TemplateError):
        composer.compose(row())


def test_a_template_that_is_not_trusted_can_do_its_work(make):
    composer = make({**BOTH, "body.txt": "{{ name|upper }}"}, trusted=False)
    assert text(composer) == "ADA\n"


def test_settings_that_cannot_be_used_are_input_errors(make):
    with pytest.raises(InputError, match="is no mailbox"):
        make({"body.txt": ""}, sender="nobody")


@pytest.mark.parametrize(
    "files",
    [
        {"body.txt": "{% include 'link.txt' %}"},
        {"body.html": "<img src='cid:link.txt'>"},
        {"body.html": "{{ embed('link.txt') }}"},
        {"body.txt": "{% include 'up/secret.txt' %}"},
    ],
)
def test_a_template_that_is_not_trusted_reaches_nothing_by_a_link(make, tmp_path, files):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret.txt").write_text("secret")
    folder = tmp_path / "templates/t"
    folder.mkdir(parents=True)
    (folder / "link.txt").symlink_to(tmp_path / "outside/secret.txt")
    (folder / "up").symlink_to(tmp_path / "outside")
    with pytest.raises(TemplateError, match=r"link\.txt|secret\.txt"):
        make(files, trusted=False).compose(row())
    make(files).compose(row())  # whose templates are one's own may link as they like


def test_a_body_that_is_a_link_to_elsewhere_is_none(make, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "templates/t").mkdir(parents=True)
    (tmp_path / "templates/t/body.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(TemplateError):
        make({}, trusted=False)
