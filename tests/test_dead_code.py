"""What is written is read: every name of the package is used by something that is no test.

Names are compared as words, so a name that something else bears too may slip through; one that nobody
writes a second time does not.
"""

import ast
import io
import re
import tokenize
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mailer"

# Called by users only, or by a library that finds them by their name.
FOR_OTHERS = {
    "down_revision",  # Alembic's, of each step
    "downgrade",  # and its way back
    "from_stream",  # an attachment out of an open file: the API of Attachment
    "wait_for",  # what has arrived, in tests of users: the API of mailer.testing
    "enqueue_messages",  # a campaign of messages that exist: the API of Campaign
    "MailerConfig",  # Django finds it in the application's module
    "SUPPRESSED_UNTIL",  # scripts spell these keys out; the table has them
    "SUPPRESSED_WHY",
    "_connect_retry",  # redis-py's Sentinel connections call it
    "config_get",  # what tests ask of the client
    "dispatcher_cls",  # Celery asks its events for it
    "max_count",  # the stdlib's email policy asks each kind of header
    "model_config",  # pydantic's
    "TIMERS",  # scripts spell this key out; the table has it, and tests look there
}

# Hooks that a library calls by their names: html.parser's, aiosmtpd's.
HOOK = re.compile(r"handle_\w+")

# Secrets are found by the name of what they unlock: `secret("token")` reads token_env, token_file …
SECRET = re.compile(r"\w+_(env|file|command)")


def sources():
    return {file: file.read_text(encoding="utf-8") for file in sorted(PACKAGE.rglob("*.py"))}


def written(text):
    """Every word of *text*: names, and words in strings that are no documentation."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            yield token.string
        elif token.type == tokenize.STRING and not token.string.startswith(('"""', 'r"""')):
            yield from re.findall(r"[A-Za-z_]\w*", token.string)


def targets(body):
    """The names that a module or class assigns."""
    for node in body:
        if isinstance(node, ast.AnnAssign):
            yield node.target, node.lineno
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield target, node.lineno


def defined(tree, ours):
    """Names and lines of what *tree* defines and nobody else may look for.

    Decorators hand a function to whoever they belong to; a class made from somebody else's has methods
    that its base calls; members of an enumeration are also had by their values.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name, node.lineno
            if node.name in ours:
                yield from names(targets(node.body))
                yield from methods(node.body)
        elif isinstance(node, ast.Module):
            yield from names(targets(node.body))
            yield from methods(node.body)


def names(found):
    for target, line in found:
        if isinstance(target, ast.Name):
            yield target.id, line


def methods(body):
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            marks = {ast.unparse(mark) for mark in node.decorator_list}
            if marks <= {"property", "cached_property", "staticmethod", "classmethod"}:
                yield node.name, node.lineno


def of_our_own(trees):
    """The classes that descend from nothing but ours and from what calls no methods by name."""
    bases = {
        node.name: {ast.unparse(base).rpartition(".")[2].partition("[")[0] for base in node.bases}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    known = {"NamedTuple", "Protocol", "Exception", "BaseModel"}
    while more := {name for name, above in bases.items() if above <= known} - known:
        known |= more
    return known


def test_every_name_is_used():
    texts = sources()
    trees = {file: ast.parse(text) for file, text in texts.items()}
    ours = of_our_own(trees.values())
    uses = Counter(word for text in texts.values() for word in written(text))
    for script in PACKAGE.rglob("*.lua"):
        uses.update(re.findall(r"[A-Za-z_]\w*", script.read_text(encoding="utf-8")))
    places = defaultdict(list)
    for file, tree in trees.items():
        for name, line in defined(tree, ours):
            places[name].append(f"{file.relative_to(ROOT)}:{line}")
    unused = {
        name: where
        for name, where in places.items()
        if uses[name] <= len(where)
        and not name.startswith("__")
        and name not in FOR_OTHERS
        and not SECRET.fullmatch(name)
        and not HOOK.fullmatch(name)
    }
    assert unused == {}
