"""What is left to be sent, what became of the rest, and which refusals are cured on the spot.

The `Worklist` of one call holds one place for each submission. A place is filled once. Some refusals are
cured at once, and the submission waits again: by another connection, if the server closes this one; by
another login, if the server has forgotten the first; without pipelining, if the server did not understand
it; by a transaction of its own, if there were too many recipients. Each cure is tried a bounded number of
times. A submission whose final dot may have left without a reply never waits again.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

from mailer.smtp.envelope import Attempt, address
from mailer.smtp.replies.actions import Cure
from mailer.smtp.reply import Reply, Stage
from mailer.smtp.rules import Action, Judgement, judge
from mailer.smtp.session import Session
from mailer.smtp.settings import Server
from mailer.smtp.submission import Fate, Result, Submission

MAX_CURES = 3
"""How often one submission may wait again."""
MAX_FRUITLESS = 3
"""How many connections in a row may end without having decided a single message."""


@dataclass(frozen=True, slots=True)
class Consequence:
    """What follows from a reply for the session, *is_closing*, and for the *account*, if anything."""

    is_closing: bool
    account: Judgement | None = None
    steps_back: bool = False
    """Client and server lost step: no PIPELINING and no CHUNKING for a while."""


ACCEPTED = Consequence(is_closing=False)


class Worklist:
    """The submissions of one call and their results."""

    def __init__(self, submissions: Sequence[Submission], server: Server) -> None:
        self._submissions = submissions
        self._server = server
        self._cures: Counter[int] = Counter()
        self._seen: set[tuple[int, Action]] = set()
        self._forgotten_at: int | None = None
        self._fruitless = 0
        self.results: list[Result | None] = [None] * len(submissions)
        self.waiting = deque(range(len(submissions)))
        self.undecided = len(submissions)
        self.fresh: list[tuple[int, Result]] = []
        """Results read and not yet reported; whoever reports them clears the list."""
        self._why_ended: Result | None = None

    @property
    def is_ended(self) -> bool:
        """Whether nothing more is begun."""
        return self._why_ended is not None

    @property
    def has_work(self) -> bool:
        """Whether something is left that may be begun."""
        return bool(self.waiting) and self._why_ended is None

    def end(self, why: Result) -> None:
        """Begin nothing more; *why*, of the first call, is the result of what is unsent at the end."""
        self._why_ended = self._why_ended or why

    def take(self, session: Session) -> Attempt | None:
        """Return the next attempt, written for what *session*'s server offers; None if there is none.

        What this server cannot take at all is refused on the way.
        """
        while self.has_work:
            index = self.waiting.popleft()
            envelope = address(self._submissions[index], session.offered, self._server.dsn)
            if not isinstance(envelope, Result):
                return Attempt(index, envelope)
            self._decide(index, envelope)
        return None

    def finished(self) -> tuple[Result, ...]:
        """Return all results; what has none is unsent, for the reason of `end`."""
        given_up = Result(Fate.UNSENT, action=Action.RETRY_LATER, rule="local: given up")
        unsent = self._why_ended or given_up
        return tuple(result or unsent for result in self.results)

    def answer(
        self, session: Session, attempt: Attempt, stage: Stage, reply: Reply, newest: int
    ) -> Consequence:
        """Take the *reply* that decided *attempt*. *newest* is the serial of the last login."""
        if reply.code < 300:
            self._decide(attempt.index, Result(Fate.ACCEPTED, stage, reply, Action.OK))
            self._note_progress(session)
            if self._forgotten_at is not None and session.serial > self._forgotten_at:
                self._forgotten_at = None
            return ACCEPTED
        judgement = judge(stage, reply, self._server.provider, self._server.rules)
        cured = self._cure(session, attempt, judgement, newest)
        if cured is not None:
            if judgement.action is Action.RETRY_RECONNECT:
                self._note_end(
                    session, Result(Fate.UNSENT, stage, reply, Action.RETRY_LATER, judgement.rule)
                )
            return cured
        judgement = self._when_incurable(judgement, reply)
        self._refuse(session, attempt.index, stage, reply, judgement)
        is_account_wide = judgement.action.meaning.is_account_wide
        if is_account_wide:
            why = Result(Fate.UNSENT, stage, reply, judgement.action, judgement.rule)
            self.end(why)
        return Consequence(
            is_closing=judgement.action.meaning.ends_session,
            account=judgement if is_account_wide else None,
        )

    def put_back(self, attempts: Iterable[Attempt]) -> None:
        """Let *attempts* wait again that ended without being refused themselves."""
        for attempt in attempts:
            self.waiting.appendleft(attempt.index)

    def take_back(self, session: Session) -> None:
        """Let other sessions send what *session* has begun and not sent: it has stalled."""
        assert session.script is not None
        given_back = session.script.finish()
        self._back_or_unsent(session, given_back, session.stage, "local: no answer for long")

    def lose(self, session: Session, stage: Stage, reason: str) -> None:
        """Settle what was under way in a *session* that is gone."""
        rule = f"local: {reason}"
        uncertain, unsent = session.abandon()
        for attempt in uncertain:
            dialogue = session.transcript.lines()
            self._decide(
                attempt.index,
                Result(Fate.UNCERTAIN, Stage.FINAL, None, Action.RETRY_LATER, rule, dialogue),
            )
        self._back_or_unsent(session, unsent, stage, rule)
        if uncertain or unsent:
            self._note_end(session, Result(Fate.UNSENT, stage, None, Action.RETRY_LATER, rule))

    def _back_or_unsent(
        self, session: Session, attempts: Sequence[Attempt], stage: Stage, rule: str
    ) -> None:
        for attempt in reversed(attempts):
            self._cures[attempt.index] += 1
            if self._cures[attempt.index] <= MAX_CURES:
                self.waiting.appendleft(attempt.index)
            else:
                dialogue = session.transcript.lines()
                result = Result(Fate.UNSENT, stage, None, Action.RETRY_LATER, rule, dialogue)
                self._decide(attempt.index, result)

    # Cures.

    def _cure(
        self, session: Session, attempt: Attempt, judgement: Judgement, newest: int
    ) -> Consequence | None:
        action, index = judgement.action, attempt.index
        if self._cures[index] >= MAX_CURES:
            return None
        match action.meaning.cure:
            case Cure.NONE:
                return None
            case Cure.NEW_LOGIN:
                if self._server.username is None or self._is_forgotten_again(session, newest):
                    return None
            case Cure.OTHER_WAY:
                if (index, action) in self._seen:
                    return None
            case Cure.OTHER_CONNECTION:
                pass  # as often as `MAX_CURES` allows
            case never:
                assert_never(never)
        self._seen.add((index, action))
        self._cures[index] += 1
        self.waiting.appendleft(index)
        return Consequence(
            is_closing=action.meaning.ends_session, steps_back=action is Action.PROTOCOL_ERROR
        )

    def _is_forgotten_again(self, session: Session, newest: int) -> bool:
        """Whether a session that logged in after the first such refusal says it too."""
        if self._forgotten_at is None:
            self._forgotten_at = newest
        return session.serial > self._forgotten_at

    def _when_incurable(self, judgement: Judgement, reply: Reply) -> Judgement:
        """What a refusal means after the cure of its action was tried in vain."""
        action = judgement.action.meaning.incurable or judgement.action
        if judgement.action is Action.REAUTH_ONCE and reply.code == 530 and self._server.username:
            # The server asks for a login right after one: so the account's login is refused, not this
            # message.
            action = Action.AUTH_FAIL
        return Judgement(action, judgement.rule)

    # Results.

    def _refuse(
        self, session: Session, index: int, stage: Stage, reply: Reply, judgement: Judgement
    ) -> None:
        dialogue = session.transcript.lines()
        result = Result(Fate.REFUSED, stage, reply, judgement.action, judgement.rule, dialogue)
        self._decide(index, result)
        self._note_progress(session)

    def _decide(self, index: int, result: Result) -> None:
        assert self.results[index] is None, "a submission has one result"
        self.results[index] = result
        self.undecided -= 1
        if result.fate in (Fate.ACCEPTED, Fate.REFUSED):
            self.fresh.append((index, result))

    def _note_progress(self, session: Session) -> None:
        session.decided += 1
        self._fruitless = 0

    def _note_end(self, session: Session, why: Result) -> None:
        if session.decided:
            return
        self._fruitless += 1
        if self._fruitless >= MAX_FRUITLESS:
            self.end(why)
