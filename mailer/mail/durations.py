"""How long something takes, as people say it."""


def spoken(seconds: float) -> str:
    """*seconds* in words: ``40 s``, ``3 min``, ``2 h 5 min``, ``4 days``; never less than nothing."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60, whole // 3600
    if minutes < 60:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{hours // 24} days"
