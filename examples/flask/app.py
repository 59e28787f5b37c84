"""A sign-up form with Flask.

flask --app app run
celery -A mailer worker                                   # beside it
curl localhost:5000/sign-up -d email=ada@example.org -d name=Ada
"""

from flask import Flask, request

from mailer import send
from mailer.errors import InputError, LedgerUnavailableError

app = Flask(__name__)


@app.post("/sign-up")
def sign_up() -> tuple[dict[str, str], int]:
    """Welcome somebody: once, also where the button is pressed twice."""
    email, name = request.form["email"], request.form["name"]
    message_id = send("welcome", to=email, context={"name": name}, key=f"sign-up-{email}-{name}")
    return {"message_id": message_id}, 202


@app.errorhandler(InputError)
def cannot_be(error: InputError) -> tuple[dict[str, str], int]:
    """An address that cannot be, or that wants no mail."""
    return {"error": str(error)}, 422


@app.errorhandler(LedgerUnavailableError)
def not_now(_error: LedgerUnavailableError) -> tuple[dict[str, str], int]:
    """Redis is away: the same request may be sent again, for its key makes it one message."""
    return {"error": "please try again in a minute"}, 503
