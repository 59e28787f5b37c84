"""Many sessions side by side in one process: submissions in, results out."""

import smtplib
import ssl
import time
from collections.abc import Callable, Sequence
from random import random
from typing import Protocol

from mailer.smtp.reply import Reply, Stage
from mailer.smtp.rules import Action, Judgement, judge
from mailer.smtp.settings import Security, Server
from mailer.smtp.transaction import Fate, Result, Submission


class Journal(Protocol):
    """The caller's write-ahead log."""

    def commit(self, results: Sequence[tuple[int, Result]], starting: Sequence[int]) -> bool:
        """Record *results* read, and that *starting* are about to be sent; False says stop."""


class Gate(Protocol):
    """The caller's permission to connect and to log in, shared with others."""

    def admit(self, wanted: int) -> int:
        """How many more connections may be opened now."""

    def logged_in(self) -> None:
        """One login succeeded."""

    def refused(self, stage: Stage, reply: Reply | None, judgement: Judgement) -> None:
        """The account met trouble."""

    def closed(self, count: int) -> None:
        """So many connections are gone."""


class Driver:
    """Simple stand-in: one connection, one command at a time."""

    def __init__(
        self,
        server: Server,
        gate: Gate,
        *,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random,
    ) -> None:
        self._server = server
        self._gate = gate

    def send(
        self, submissions: Sequence[Submission], journal: Journal, *, limit: int | None = None
    ) -> tuple[Result, ...]:
        """Send all; exactly one result each, in order."""
        results: list[Result] = []
        retry = Judgement(Action.RETRY_LATER, "local: unreachable")
        if self._gate.admit(1) < 1:
            return tuple(Result(Fate.UNSENT, Stage.CONNECT, None, *_of(retry)) for _ in submissions)
        try:
            smtp = self._open()
        except smtplib.SMTPAuthenticationError as exc:
            reply = Reply.parse(f"{exc.smtp_code} {exc.smtp_error.decode()}")
            judgement = judge(Stage.AUTH, reply, self._server.provider, self._server.rules)
            self._gate.refused(Stage.AUTH, reply, judgement)
            self._gate.closed(1)
            return tuple(Result(Fate.UNSENT, Stage.AUTH, reply, *_of(judgement)) for _ in submissions)
        except (OSError, smtplib.SMTPException):
            self._gate.refused(Stage.CONNECT, None, retry)
            self._gate.closed(1)
            return tuple(Result(Fate.UNSENT, Stage.CONNECT, None, *_of(retry)) for _ in submissions)
        done: list[tuple[int, Result]] = []
        for index, submission in enumerate(submissions):
            if not journal.commit(done, [index]):
                done = []
                break
            result = self._transact(smtp, submission)
            results.append(result)
            done = [(index, result)]
        journal.commit(done, [])
        smtp.quit()
        self._gate.closed(1)
        rest = len(submissions) - len(results)
        return (*results, *(Result(Fate.UNSENT, action=Action.RETRY_LATER, rule="stopped") for _ in range(rest)))

    def _open(self) -> smtplib.SMTP:
        server = self._server
        context = ssl.create_default_context(cafile=server.ca_file)
        smtp: smtplib.SMTP
        if server.security is Security.TLS:
            smtp = smtplib.SMTP_SSL(server.host, server.port, context=context)
        else:
            smtp = smtplib.SMTP(server.host, server.port)
            if server.security is Security.STARTTLS:
                smtp.starttls(context=context)
        if server.username is not None and server.password is not None:
            smtp.login(server.username, server.password())
        self._gate.logged_in()
        return smtp

    def _transact(self, smtp: smtplib.SMTP, submission: Submission) -> Result:
        said = (
            (Stage.MAIL, lambda: smtp.mail(submission.reverse_path)),
            (Stage.RCPT, lambda: smtp.rcpt(submission.forward_path)),
            (Stage.FINAL, lambda: smtp.data(submission.content)),
        )
        for stage, say in said:
            try:
                code, text = say()
            except smtplib.SMTPDataError as exc:
                code, text = exc.smtp_code, exc.smtp_error
            except (OSError, smtplib.SMTPServerDisconnected):
                fate = Fate.UNCERTAIN if stage is Stage.FINAL else Fate.UNSENT
                return Result(fate, stage, None, Action.RETRY_LATER, "local: lost")
            reply = Reply.parse(f"{code} {text.decode()}")
            judgement = judge(stage, reply, self._server.provider, self._server.rules)
            if code >= 400:
                smtp.rset()
                return Result(Fate.REFUSED, stage, reply, *_of(judgement))
        return Result(Fate.ACCEPTED, stage, reply, *_of(judgement))

    def reap(self) -> None:
        """Close what is idle, old or hung up."""

    def close(self) -> None:
        """Say QUIT to all."""


def _of(judgement: Judgement) -> tuple[Action, str]:
    return judgement.action, judgement.rule
