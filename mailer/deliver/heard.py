"""What a session heard, as it is kept and told: from the SMTP engine's words to a `Said`."""

from dataclasses import replace

from mailer.mail.said import Said
from mailer.smtp import Action, Judgement, Reply, Stage
from mailer.smtp.connection.masking import without_addresses
from mailer.store.breaker import Refusal, Trouble


def heard(
    stage: Stage | None,
    reply: Reply | None,
    action: Action | None,
    rule: str,
    dialogue: tuple[str, ...] = (),
) -> Said:
    """What was said to *stage*; where no *reply* was read, why, in the words of the local *rule*."""
    return Said(
        stage=stage.value if stage else "",
        code=reply.code if reply else 0,
        enhanced=(reply.enhanced or "") if reply else "",
        text=reply.text if reply else rule.removeprefix("local: "),
        action=action.value if action else "",
        rule=rule,
        dialogue=dialogue,
    )


def nameless(said: Said, *addresses: str) -> Said:
    """The same for those who may not see *addresses*: they are taken out in whatever spelling."""
    return replace(said, text=without_addresses(said.text, addresses))


def held_against(judgement: Judgement, said: Said) -> Refusal:
    """What *judgement* does to the account of which it was *said*, in the breaker's words."""
    meaning = judgement.action.meaning
    trouble = Trouble(meaning.account.value)
    if not judgement.is_certain:
        # And nobody on the network may decide for how many days the account rests.
        trouble = Trouble.SUSPECTED if trouble is Trouble.STOPS else Trouble.COOLS
    return Refusal(trouble, meaning.stop_reason or judgement.action.value, said)
