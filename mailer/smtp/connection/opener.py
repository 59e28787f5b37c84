"""How a session is opened: the steps of the handshake, carried out over a connection.

The steps themselves, and what must be said in which order, stand in `mailer.smtp.handshake`, without any
I/O. Here they meet the socket. An `Opener` never waits: each method goes on as far as possible now.
"""

import ssl

from mailer.errors import ConfigError
from mailer.smtp.connection import tls
from mailer.smtp.connection.names import certified
from mailer.smtp.connection.phase import Phase
from mailer.smtp.connection.resumption import Resumption
from mailer.smtp.connection.transcript import Transcript
from mailer.smtp.connection.transport import Transport
from mailer.smtp.dialogue import Answer, Ask, RefusedError, Say, Secure
from mailer.smtp.handshake import Handshake, Opened, open_session
from mailer.smtp.reply import ReplyParser, Stage
from mailer.smtp.rules import Action, Judgement
from mailer.smtp.settings import Server


class Opener:
    """The opening of one session over *transport*, which has until *deadline* to connect.

    *refresh_token* says that the last access token was refused. *resumption* knows earlier TLS sessions
    with the same server. Every method may raise OSError: the connection is dead then.
    """

    def __init__(  # noqa: PLR0913  # what opening a session needs
        self,
        server: Server,
        transport: Transport,
        transcript: Transcript,
        resumption: Resumption,
        *,
        deadline: float,
        refresh_token: bool,
    ) -> None:
        self._server = server
        self._transport = transport
        self._transcript = transcript
        self._resumption = resumption
        self._handshake: Handshake
        self.refresh_token = refresh_token
        self.phase = Phase.CONNECTING
        self.deadline = deadline
        self.stage = Stage.CONNECT
        """Whose reply is awaited, or was awaited last."""
        self.parser = ReplyParser()
        """What reads the replies; a new one begins with TLS."""
        self.ask: Ask | None = None
        """A call that is to be made; its outcome goes to `resume`."""
        self.opened: Opened | None = None
        """Set when the session is open."""
        self.refusal: RefusedError | None = None
        """Why the session could not be opened."""
        self.is_secure = False
        """Whether TLS hands have been shaken."""

    def connected(self, now: float) -> None:
        """Begin the handshake: the socket has become writable for the first time."""
        self._transport.finish_connecting()
        self._handshake = open_session(
            self._server, self._transport.local_address, refresh_token=self.refresh_token
        )
        self.go_on(None, now)

    def resume(self, value: Answer, error: Exception | None, now: float) -> None:
        """Take the outcome of the call that was asked for."""
        if self.phase is Phase.ASKING:
            self.go_on(error or value, now)

    def go_on(self, answer: Answer | Exception | None, now: float) -> None:
        """Give the handshake the *answer* to its last step, and carry out the next one."""
        try:
            if isinstance(answer, Exception):
                step = self._handshake.throw(answer)
            elif answer is None:
                step = next(self._handshake)
            else:
                step = self._handshake.send(answer)
        except StopIteration as stop:
            self.opened = stop.value
            if self.is_secure:
                self._keep_tls(now)
        except RefusedError as exc:
            self.refusal = exc
        else:
            self._carry_out(step, now)

    def shake_hands(self, now: float) -> None:
        """Go on with the TLS handshake."""
        try:
            is_done = self._transport.shake_hands()
        except (OSError, ValueError) as exc:
            self._resumption.forget()
            action = Action.ACCOUNT_CONFIG if tls.is_verification(exc) else Action.RETRY_LATER
            self._refuse(action, f"no TLS: {tls.explained(exc, self._server, self.stage)}")
            return
        if is_done:
            self.is_secure = True
            self.go_on(None, now)

    def tls(self) -> ssl.SSLSocket | None:
        """Return the encrypted socket once hands are shaken, to be asked about its certificate."""
        return self._transport.tls() if self.is_secure else None

    def _carry_out(self, step: Say | Secure | Ask, now: float) -> None:
        timeouts = self._server.timeouts
        if isinstance(step, Ask):
            self.phase, self.stage, self.ask = Phase.ASKING, Stage.AUTH, step
            self.deadline = now + timeouts.auth
        elif isinstance(step, Secure):
            # Whatever came before the handshake may come from somebody else (CVE-2011-0411): it must
            # not be taken for what the verified server says.
            self.parser = ReplyParser()
            self.phase, self.stage = Phase.SHAKING_HANDS, step.stage
            self.deadline = now + timeouts.tls
            self._secure(now)
        else:
            self.phase, self.stage = Phase.LISTENING, step.stage
            self.deadline = now + tls.patience(self._server, step.stage)
            if step.data:
                self._transcript.conceal(*step.secrets)
                self._transcript.said(step.shown)
                self._transport.write([step.data])

    def _secure(self, now: float) -> None:
        try:
            context = tls.context_for(self._server)
            name = certified(self._server.tls_name or self._server.host)
        except ConfigError as exc:
            self._refuse(Action.ACCOUNT_CONFIG, str(exc))
            return
        earlier = self._resumption.offered(context, now)
        self._transport.secure(context, name, earlier)
        self.shake_hands(now)

    def _keep_tls(self, now: float) -> None:
        connection = self._transport.tls()
        assert connection is not None
        self._resumption.keep(connection, now)

    def _refuse(self, action: Action, reason: str) -> None:
        judgement = Judgement(action, f"local: {reason}", is_certain=False)
        self.refusal = RefusedError(self.stage, None, judgement)
