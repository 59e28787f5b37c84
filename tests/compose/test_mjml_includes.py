"""mj-include: files of the templates' folder, and nothing else; faults by the lines of their files."""

import pytest

from mailer.compose.template.mjml.includes import included
from mailer.errors import TemplateError
from tests.compose.conftest import bytes_of, read, row

HEADER = (
    "<mj-section>\n<mj-column>\n<mj-text>Top of {{ name }}</mj-text>\n</mj-column></mj-section>\n"
)


def page(include: str, head: str = "") -> str:
    return (
        f"<mjml>{head}\n<mj-body>\n{include}\n<mj-section><mj-column><mj-text>Hi {{{{ name }}}}</mj-text>"
        "</mj-column></mj-section>\n</mj-body></mjml>"
    )


def html(composer, **fields) -> str:
    return read(bytes_of(composer, row(**fields))).get_body(("html",)).get_content()


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize(
    ("written", "file"),
    [
        ("header.mjml", "header.mjml"),
        ("./header.mjml", "header.mjml"),
        ("header", "header.mjml"),
        ("parts/header.mjml", "parts/header.mjml"),
        ("../parts/header.mjml", "parts/header.mjml"),
        ("t/../t/header.mjml", "header.mjml"),
        ("layouts/header.mjml", "layouts/header.mjml"),
        ("my header.mjml", "my header.mjml"),
        ("kopf-über.mjml", "kopf-über.mjml"),
    ],
)
def test_a_file_is_found_beside_in_the_folder_and_from_templates_on(make, written, file, ends):
    source = page(f'<mj-include path="{written}" />').replace("\n", ends)
    found = html(make({"body.mjml": source, file: HEADER.replace("\n", ends)}))
    assert "Top of Ada" in found
    assert found.index("Top of Ada") < found.index("Hi Ada")
    assert "mj-include" not in found


@pytest.mark.parametrize(
    "include",
    [
        "<mj-include path='header.mjml'/>",
        '<mj-include path="header.mjml"></mj-include>',
        '<mj-include\n  path="header.mjml"\n/>',
        '<mj-include type="mjml" path="header.mjml" />',
        '<mj-include path="header.mjml" foo="a > b" />',
    ],
)
def test_it_may_be_written_as_xml_lets_it(make, include):
    found = html(make({"body.mjml": page(include), "header.mjml": HEADER}))
    assert "Top of Ada" in found


def test_a_whole_document_gives_its_body_here_and_its_head_to_the_head(make):
    whole = (
        '<?xml version="1.0"?>\n<mjml>\n<mj-head><mj-style>.seen { color: teal }</mj-style></mj-head>\n'
        f"outside<mj-body>{HEADER}</mj-body>outside\n</mjml>"
    )
    for head in ("", "<mj-head><mj-title>T</mj-title></mj-head>"):
        found = html(
            make({"body.mjml": page('<mj-include path="h.mjml"/>', head), "h.mjml": whole})
        )
        assert "Top of Ada" in found
        assert "outside" not in found
        assert found.index(".seen") < found.index("<body")
        assert ("<title>T</title>" in found) == bool(head)


def test_a_part_with_a_head_of_its_own_is_taken_apart(make):
    part = f"<mj-head><mj-style>.seen {{ color: teal }}</mj-style></mj-head>{HEADER}"
    found = html(make({"body.mjml": page('<mj-include path="h.mjml"/>'), "h.mjml": part}))
    assert found.index(".seen") < found.index("<body") < found.index("Top of Ada")


@pytest.mark.parametrize(
    "part",
    [
        '<mj-attributes><mj-text color="#123456" /></mj-attributes>',
        '<mjml><mj-head><mj-attributes><mj-text color="#123456"/></mj-attributes></mj-head></mjml>',
        '<mjml><mj-body><mj-attributes><mj-text color="#123456"/></mj-attributes></mj-body></mjml>',
    ],
)
def test_the_head_includes_what_belongs_there(make, part):
    head = '<mj-head>\n<mj-include path="head.mjml" />\n</mj-head>'
    found = html(make({"body.mjml": page("", head), "head.mjml": part}))
    assert "#123456" in found


def test_style_sheets_and_html_are_put_in_as_they_are(make):
    files = {
        "a.css": "p > b { color: #111111 }",
        "b.css": ".x { color: #222222 }",
        "c.html": "<p>raw<br>{{ name }} & <b>so on</p>",
        "body.mjml": page(
            '<mj-include path="c.html" type="html"/><mj-include path="a.css" type="css"/>'
            '<mj-raw><p class="x">y</p></mj-raw>',
            '<mj-head><mj-include path="b.css" type="css" css-inline="inline"/></mj-head>',
        ),
    }
    found = html(make(files))
    assert "<p>raw<br>Ada & <b>so on</p>" in found
    assert found.index("p > b { color: #111111 }") < found.index("<body")
    assert 'style="color: #222222' in found


def test_files_include_others_beside_themselves(make):
    files = {
        "body.mjml": page('<mj-include path="parts/a.mjml"/>'),
        "parts/a.mjml": '<mj-include path="deep/b.mjml"/>',
        "parts/deep/b.mjml": '<mj-include path="c.mjml"/><mj-include path="../a2.mjml"/>',
        "parts/deep/c.mjml": HEADER,
        "parts/a2.mjml": HEADER.replace("Top", "Bottom"),
    }
    found = html(make(files))
    assert found.index("Top of Ada") < found.index("Bottom of Ada") < found.index("Hi Ada")


def test_the_same_file_may_be_included_twice(make):
    twice = '<mj-include path="h.mjml"/>' * 2
    assert html(make({"body.mjml": page(twice), "h.mjml": HEADER})).count("Top of Ada") == 2


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (
            "<mj-section>\n<mj-column>\n\n<mj-text>{{ nobody }}</mj-text></mj-column></mj-section>",
            "4: 'nobody'",
        ),
        (
            "<mj-section><mj-column>\n<mj-text>{{ name|nofilter }}</mj-text></mj-column></mj-section>",
            "2: No filter",
        ),
        ("<mj-section>\n<mj-column>\n</mj-section>", "2: not valid MJML"),
        (
            "\n<mj-section><mj-column>\n<mj-list/></mj-column></mj-section>",
            "3: MJML has no <mj-list>",
        ),
        ("\n<mj-section foo='{{ name }}'/>", "2: MJML drops what stands here"),
        ("{# a\nb #}\n<mj-html-attributes/>", "3: <mj-html-attributes> is not supported"),
        ("\n\n<mj-include path='none'/>", "3: <mj-include>: there is no file 'none'"),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_a_fault_in_an_included_file_is_told_by_its_own_line(make, part, said, ends):
    files = {"body.mjml": page("\n\n<mj-include path='part.mjml'/>"), "part.mjml": part}
    with pytest.raises(TemplateError, match=r"part\.mjml:" + said):
        make({name: text.replace("\n", ends) for name, text in files.items()}).compose(row())


def test_a_fault_after_an_include_is_told_by_the_line_of_its_file(make):
    source = page("<mj-include path='h.mjml'/>").replace("Hi {{ name }}", "Hi {{ nobody }}")
    with pytest.raises(TemplateError, match=r"body\.mjml:4: 'nobody'"):
        make({"body.mjml": source, "h.mjml": HEADER}).compose(row())


@pytest.mark.parametrize(
    ("include", "said"),
    [
        ("<mj-include/>", "wants the name of a file"),
        ("<mj-include path=''/>", "wants the name of a file"),
        ("<mj-include path='{{ name }}.mjml'/>", "wants the name of a file, written out"),
        ("<mj-include path='h.mjml' type='js'/>", "not 'js'"),
        ("<mj-include path='/etc/passwd' type='html'/>", "there is no file '/etc/passwd'"),
        ("<mj-include path='../../outside.mjml'/>", "there is no file"),
        ("<mj-include path='../t/../../outside.mjml'/>", "there is no file"),
        ("<mj-include path='https://x.example/a.mjml'/>", "there is no file"),
        ("<mj-include path='t'/>", "there is no file 't'"),
        ("<mj-include path='a&#0;b'/>", "there is no file"),
        ("<mj-include path='" + "x" * 300 + "'/>", "there is no file"),
        ("<mj-include path='h.mjml'>", "<mj-include> is not supported; write"),
        ("<mj-raw><mj-include path='h.mjml'/></mj-raw>", "outside of text and of <mj-raw>"),
    ],
)
def test_what_cannot_be_included_is_refused_by_line(make, tmp_path, include, said):
    (tmp_path / "outside.mjml").write_text(HEADER)
    with pytest.raises(TemplateError, match=r"body\.mjml:3: ") as refused:
        make({"body.mjml": page(include), "h.mjml": HEADER})
    assert said in str(refused.value)
    assert "xJinja" not in str(refused.value)


def test_a_link_out_of_the_folder_is_no_file_of_a_strangers_template(make, tmp_path):
    (tmp_path / "secret.html").write_text("secret")
    make({"body.txt": "x"})
    (tmp_path / "templates/t/link.html").symlink_to(tmp_path / "secret.html")
    source = {"body.mjml": page("<mj-include path='link.html' type='html'/>")}
    assert "secret" in html(make(source))
    with pytest.raises(TemplateError, match=r"there is no file 'link\.html'"):
        make(source, trusted=False)


def test_a_circle_is_told_by_its_files(make):
    files = {
        "body.mjml": page("<mj-include path='a.mjml'/>"),
        "a.mjml": "\n<mj-include path='b.mjml'/>",
        "b.mjml": "\n\n<mj-include path='a.mjml'/>",
    }
    with pytest.raises(
        TemplateError, match=r"b\.mjml:3: .*circle: .*a\.mjml → .*b\.mjml → .*a\.mjml$"
    ):
        make(files)


def test_a_template_that_includes_itself_is_a_circle(make):
    with pytest.raises(TemplateError, match=r"body\.mjml:3: .*circle"):
        make({"body.mjml": page("<mj-include path='body.mjml'/>")})


def files_that(text):
    """Read files with numbers for names, each of which *text* makes."""
    return lambda name, _: (text(int(name)), name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (lambda n: f"<mj-include path='{n + 1}'/>", "more than 20 files within each other"),
        (lambda n: f"<mj-include path='{n + 1}'/>" * 2 if n < 15 else "", "more than 500 files"),
        (lambda n: f"<mj-include path='{n + 1}'/>{'x' * 3_000_000}", "4 MB, are included"),
    ],
)
def test_what_has_no_end_is_refused(text, said):
    with pytest.raises(TemplateError, match=said):
        included("<mjml><mj-body><mj-include path='1'/></mj-body></mjml>", "0", files_that(text))


@pytest.mark.parametrize(
    "source",
    [
        "<!-- <mj-include path='none'/> -->",
        "{# <mj-include path='none'/> #}",
        "{% raw %}<mj-include path='none'/>{% endraw %}",
        "<mj-style>/* <mj-include path='none'/> */</mj-style>",
        "<mj-includes path='none'/>",
    ],
)
def test_what_stands_in_a_comment_or_in_text_is_left_alone(source):
    assert included(source, "x", files_that(str))[0] == source


def test_each_line_knows_its_file():
    files = {"a": "A1\nA2 <mj-include path='b'/> A2\nA3", "b": "B1\nB2"}
    text, places = included(
        "m1\nm2 <mj-include path='a'/> m2\nm3\n", "m", lambda name, _: (files[name], name)
    )
    told = [
        (line.strip(), "{}{}".format(*places.of(n))) for n, line in enumerate(text.split("\n"), 1)
    ]
    assert [line for line, _ in told if line] == [
        "m1",
        "m2",
        "A1",
        "A2",
        "B1",
        "B2",
        "A2",
        "A3",
        "m2",
        "m3",
    ]
    assert all(line in {"", place.upper()} or line == place for line, place in told), told


def test_the_digest_knows_what_is_included(make, tmp_path):
    files = {"body.mjml": page("<mj-include path='layouts/h.mjml'/>"), "layouts/h.mjml": HEADER}
    before = make(files)
    after = make({**files, "layouts/h.mjml": HEADER.replace("Top", "Head")})
    assert before.digest != after.digest
    assert any(path.name == "h.mjml" for path in after.files)
