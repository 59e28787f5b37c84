"""A sign-up with FastAPI, and SQLAlchemy's transaction.

uvicorn main:app
celery -A mailer worker                                   # beside it
curl localhost:8000/sign-up --json '{"email": "ada@example.org", "name": "Ada"}'
"""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from mailer import asend, on_commit, send
from mailer.errors import InputError

app = FastAPI()
engine = create_engine("sqlite:///shop.sqlite3")


class Base(DeclarativeBase):
    """The tables."""


class Customer(Base):
    """Who has signed up; each mailbox once."""

    __tablename__ = "customers"
    number: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]


class SignUp(BaseModel):
    """What is asked for."""

    email: str
    name: str


Base.metadata.create_all(engine)


def session() -> Iterator[Session]:
    """A session for each request."""
    with Session(engine) as made:
        yield made


@app.post("/sign-up", status_code=201)
def sign_up(one: SignUp, session: Annotated[Session, Depends(session)]) -> dict[str, int]:
    """Take somebody in; the mail leaves when that is committed, and not where it is rolled back."""
    customer = Customer(email=one.email, name=one.name)
    session.add(customer)
    try:
        session.flush()
        key = f"sign-up-{customer.number}"
        on_commit(
            lambda: send("welcome", to=one.email, context={"name": one.name}, key=key),
            session=session,
        )
        session.commit()
    except IntegrityError:
        session.rollback()
        raise HTTPException(409, "this mailbox has signed up already") from None
    return {"customer": customer.number}


@app.post("/remind", status_code=202)
async def remind(one: SignUp) -> dict[str, str]:
    """Remind somebody, from the event loop: other requests go on meanwhile."""
    return {"message_id": await asend("welcome", to=one.email, context={"name": one.name})}


@app.exception_handler(InputError)
def cannot_be(_request: Request, error: InputError) -> JSONResponse:
    """An address that cannot be, or that wants no mail."""
    return JSONResponse({"detail": str(error)}, 422)
