"""How MJML with Jinja in it becomes HTML with Jinja in it.

The compiler is the optional package ``mrml``. It reads no files: included files are put in before
(`includes`). Jinja's tags are tokens while it works (`tokens`). What it cannot read, and other compilers
can, is rewritten for it (`repairs`). What it would drop, or not compile, is refused by file and line
(`faults`).
"""

from collections.abc import Callable

from mailer.compose.template.mjml import faults
from mailer.compose.template.mjml.includes import Reader, included
from mailer.compose.template.mjml.places import Places
from mailer.compose.template.mjml.repairs import outside_comments, repaired, without_head_comments
from mailer.compose.template.mjml.tokens import Compiled, Tokens, put_back, without_jinja
from mailer.compose.text import check_depth
from mailer.errors import TemplateError

__all__ = ["Compiled", "html_of_mjml"]


def html_of_mjml(source: str, path: str, read: Reader | None = None) -> Compiled:
    """Compile *source*, the file at *path*; *read* gives the files that it includes.

    Raises `TemplateError`, with file and line where they are known.
    """
    text, places = included(source, path, read)
    tokens = Tokens(text)
    # A token stands in one line, whatever it stands for: so lines are counted by what the tokens stand
    # for.
    text = repaired(without_jinja(without_head_comments(text), tokens), tokens)
    faults.check_refused(text, places, tokens)
    text = outside_comments(text, tokens)
    compiled = _compiled(text, tokens, places)
    faults.check_compiled(text, compiled, places, tokens)
    faults.check_kept(text, compiled, places, tokens)
    return put_back(compiled, tokens, places)


def _compiled(text: str, tokens: Tokens, places: Places) -> str:
    check_depth(text)  # mrml would end the process
    try:
        return _compiler()(text)
    except ImportError:
        raise TemplateError(
            f"{places.file}: MJML needs an extra: pip install 'celery-mailer[mjml]'"
        ) from None
    except (OSError, ValueError) as error:
        raise faults.invalid(error, text, tokens, places) from error


def _compiler() -> Callable[[str], str]:
    from mrml import ParserOptions, noop_loader, to_html  # noqa: PLC0415 - optional

    options = ParserOptions(include_loader=noop_loader())

    def compile_mjml(text: str) -> str:
        output = to_html(text, parser_options=options)
        return str(getattr(output, "content", output))

    return compile_mjml
