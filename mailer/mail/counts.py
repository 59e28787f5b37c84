"""How many there are, as people say it."""


def count(number: float) -> str:
    """*number* with its thousands apart, without a fraction."""
    return f"{number:,.0f}"


def plural(number: int, noun: str) -> str:
    """*number* and *noun* in the right form: ``1 message``, ``2,000 batches``."""
    ending = "es" if noun.endswith(("ch", "s", "x")) else "s"
    return f"{count(number)} {noun}{'' if number == 1 else ending}"
