"""What the messages of a batch have in common, and what is each one's own.

Messages of a campaign are put together of the same pieces, and of a few values. A `Form` is the pieces
that several messages share, with the numbers of the values between them; a message is then its form and
its values, each value once however often it stands in the message.

Forms are found by comparing contents chunk by chunk, as the composer made them, so they can only be as
good as its chunks are. Whatever they are, form and values put together are the content, to the octet.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from mailer.mail.message import SharedPart

Chunk = bytes | SharedPart
Piece = bytes | SharedPart | int

MOST: Final = 16
"""Forms in a batch. Messages that fit none of them are written down whole."""


class Form:
    """*pieces* that messages have in common; numbers stand for values, counted from 0.

    Raises ValueError where a number is left out: then its value would be lost.
    """

    __slots__ = ("_parts", "_times", "count", "most", "pieces", "size")

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = tuple(pieces)
        numbers = Counter(piece for piece in pieces if isinstance(piece, int))
        self.count = len(numbers)
        """How many values a message of this form has."""
        self._times = [numbers[value] for value in range(self.count)]
        self.most = max(self._times, default=0)
        """How often a value stands in it at most."""
        self.size = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
        """How many octets are the same in all its messages."""
        if numbers.keys() != set(range(self.count)):
            raise ValueError("a form that leaves out values")
        self._parts: list[SharedPart | Callable[[tuple[bytes, ...]], Any]] = []
        for is_shared, run in groupby(pieces, lambda piece: isinstance(piece, SharedPart)):
            if is_shared:
                self._parts += [part for part in run if isinstance(part, SharedPart)]
            else:
                self._parts.append(_filler(list(run), self.count))

    def content(self, values: tuple[bytes, ...]) -> tuple[Chunk, ...]:
        """The content of the message that has *values*: its octets in one piece between shared parts."""
        found: list[Chunk] = []
        for part in self._parts:
            if isinstance(part, SharedPart):
                found.append(part)
            elif octets := b"".join(part(values)):
                found.append(octets)
        return tuple(found)

    def octets(self, values: tuple[bytes, ...]) -> int:
        """How many octets of content the message has, without shared parts."""
        return self.size + sum(
            times * len(one) for times, one in zip(self._times, values, strict=True)
        )


def _filler(pieces: list[Piece], count: int) -> Callable[[tuple[bytes, ...]], Any]:
    constants = tuple(piece for piece in pieces if isinstance(piece, bytes))
    order, seen = [], count
    for piece in pieces:
        order.append(piece if isinstance(piece, int) else seen)
        seen += not isinstance(piece, int)
    pick = getter(order)
    return lambda values: pick(values + constants)


def getter(numbers: Sequence[int]) -> Callable[[Sequence[Any]], Any]:
    """A function that picks *numbers* out of a sequence, as a tuple however many they are."""
    if not numbers:
        return lambda _: ()
    if len(numbers) == 1:
        only = numbers[0]
        return lambda values: (values[only],)
    return itemgetter(*numbers)


def common(
    contents: Sequence[tuple[Chunk, ...]],
) -> tuple[list[Form], list[tuple[int, tuple[bytes, ...]]]]:
    """Find the forms of *contents*; of each content the number of its form, and its values."""
    drafts: dict[int, list[_Draft]] = {}
    chosen: list[_Draft] = []
    total = 0
    for content in contents:
        alike = drafts.setdefault(len(content), [])
        draft = next((one for one in alike if one.takes(content)), None)
        draft = draft or next((one for one in alike if one.widens(content)), None)
        if draft is None:
            draft = _Draft(content)
            if total < MOST:
                alike.append(draft)
                total += 1
        chosen.append(draft)
    return _written(chosen)


def _written(
    chosen: list["_Draft"],
) -> tuple[list[Form], list[tuple[int, tuple[bytes, ...]]]]:
    numbers: dict[tuple[Piece, ...], int] = {}
    forms: list[Form] = []
    drafts: dict[_Draft, tuple[int, Iterator[tuple[bytes, ...]]]] = {}
    for draft in dict.fromkeys(chosen):
        form, values = draft.finished()
        number = numbers.setdefault(form.pieces, len(numbers))
        if number == len(forms):
            forms.append(form)
        drafts[draft] = number, values
    rows = []
    for draft in chosen:
        number, values = drafts[draft]
        rows.append((number, next(values)))
    return forms, rows


class _Draft:
    """A form in the making: chunks that all *members* have at the same places are constant."""

    __slots__ = ("_constants", "_is_constant", "_pick", "members")

    def __init__(self, content: tuple[Chunk, ...]) -> None:
        self.members = [content]
        self._is_constant = [True] * len(content)
        self._remember(content)

    def _remember(self, content: tuple[Chunk, ...]) -> None:
        self._pick = getter([at for at, is_constant in enumerate(self._is_constant) if is_constant])
        self._constants = self._pick(content)

    def takes(self, content: tuple[Chunk, ...]) -> bool:
        """Whether *content* has all that is constant; it is a member then."""
        if self._pick(content) != self._constants:
            return False
        self.members.append(content)
        return True

    def widens(self, content: tuple[Chunk, ...]) -> bool:
        """Whether *content* may be a member too, with less that is constant: half of it at least."""
        first = self.members[0]
        mask = [
            known and one == other
            for known, one, other in zip(self._is_constant, first, content, strict=True)
        ]
        left = 0
        for is_constant, chunk in zip(mask, first, strict=True):
            if isinstance(chunk, SharedPart):
                if not is_constant:
                    return False
            elif is_constant:
                left += len(chunk)
        if 2 * left < sum(len(chunk) for chunk in self._constants if isinstance(chunk, bytes)):
            return False
        if any(
            isinstance(b, SharedPart) for b, same in zip(content, mask, strict=True) if not same
        ):
            return False
        self._is_constant = mask
        self._remember(first)
        self.members.append(content)
        return True

    def finished(self) -> tuple[Form, Iterator[tuple[bytes, ...]]]:
        """The form, and the values of one member after the other."""
        first = self.members[0]
        if len(self.members) == 1:
            return _alone(first)
        own = [at for at, is_constant in enumerate(self._is_constant) if not is_constant]
        numbers = self._numbers(own)
        leaders = [own[numbers.index(number)] for number in range(len(set(numbers)))]
        number_at = dict(zip(own, numbers, strict=True))
        pieces: list[Piece] = []
        for at, chunk in enumerate(first):
            piece: Piece = number_at.get(at, chunk)
            if isinstance(piece, bytes) and pieces and isinstance(pieces[-1], bytes):
                pieces[-1] += piece
            elif piece != b"":
                pieces.append(piece)
        return Form(pieces), map(getter(leaders), self.members)

    def _numbers(self, own: list[int]) -> list[int]:
        """For each place in *own* the number of its value: places that always agree have the same."""
        pick = getter(own)
        samples = [pick(self.members[0]), pick(self.members[-1])]
        while True:
            numbers: dict[tuple[Chunk, ...], int] = {}
            found = [numbers.setdefault(seen, len(numbers)) for seen in zip(*samples, strict=True)]
            lead = getter([found.index(number) for number in range(len(numbers))])
            expand = getter(found)
            for member in self.members:
                values = pick(member)
                if expand(lead(values)) != values:
                    samples.append(values)
                    break
            else:
                return found


def _alone(content: tuple[Chunk, ...]) -> tuple[Form, Iterator[tuple[bytes, ...]]]:
    """The form of a message that is like no other: what is between shared parts is its own."""
    pieces: list[Piece] = []
    values: list[bytes] = []
    for chunk in merged(content):
        if isinstance(chunk, bytes):
            pieces.append(len(values))
            values.append(chunk)
        else:
            pieces.append(chunk)
    return Form(pieces), iter([tuple(values)])


def merged(content: Sequence[Chunk]) -> tuple[Chunk, ...]:
    """*content* with its octets in one piece between shared parts."""
    found: list[Chunk] = []
    for is_shared, run in groupby(content, lambda chunk: isinstance(chunk, SharedPart)):
        if is_shared:
            found += run
        elif octets := b"".join(chunk for chunk in run if isinstance(chunk, bytes)):
            found.append(octets)
    return tuple(found)
