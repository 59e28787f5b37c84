"""Three sides of the same mail, compared: the mail server's record, the ledger, the history."""

import json
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass

from mailer.errors import CampaignNotFoundError
from mailer.history import open_history
from mailer.mail.status import OPEN, Status
from mailer.operate.dead_letters import office
from mailer.store import keys
from mailer.store.dead_letters import Filter


@dataclass
class Mailing:
    """One campaign of the run; *count* is None for single messages, which have no end."""

    name: str
    count: int | None
    on_uncertain: str
    is_enqueued: bool = False
    outcomes: Counter | None = None
    """Once it was found to be equal on all sides."""

    unequal: str = "nobody has looked"
    """Why it is not, when it was looked at last."""


class Books:
    def __init__(self, world):
        self._world = world
        self._offset = 0
        self.mailings = []
        self.accepted = Counter()
        """Message-ID → how often the mail server took it."""

    def read_record(self):
        """What the mail server has put on record since."""
        with (self._world.folder / "record.jsonl").open("rb") as record:
            record.seek(self._offset)
            for line in record:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                event = json.loads(line)
                if event["event"] == "accepted":
                    self.accepted[event["id"]] += 1

    def open_ones(self):
        return [one for one in self.mailings if one.outcomes is None]

    def look(self):
        """Close the books of campaigns that are over and equal."""
        self.read_record()
        for one in self.open_ones():
            if one.is_enqueued and one.count is not None:
                one.unequal = self._compare(one)
                if not one.unequal:
                    self._tidy(one.name)

    def close(self):
        """Compare the single messages as well; returns what is not equal, in words."""
        self.look()
        for one in self.open_ones():
            if one.count is None:
                one.unequal = self._compare(one)
        return [f"{one.name}: {one.unequal}" for one in self.open_ones()]

    def _compare(self, one):
        letters = self._letters(one.name)
        if letters is None:
            return "the ledger does not know it"
        if one.count is not None and len(letters) != one.count:
            return f"{len(letters)} of {one.count} in the ledger"
        waiting = sum(letter in OPEN for letter in letters)
        if waiting:
            return f"{waiting} open"
        words = [letter.word for letter in letters]
        with closing(open_history(self._world.history_url)) as history:
            found = list(history.export(one.name))
        if [record.outcome for record in found] != words:
            return f"ledger {Counter(words)}, history {Counter(r.outcome for r in found)}"
        wrong = [record.position for record in found if not self._fits(record)]
        if wrong:
            return f"the mail server's record differs at {wrong[:10]}"
        one.outcomes = Counter(words)
        return ""

    def _fits(self, record):
        times = self.accepted[record.message_id]
        if record.outcome == "accepted":
            return times >= 1
        return record.outcome in {"uncertain", "dropped"} or times == 0

    def _letters(self, name):
        client = self._world.client
        try:
            client.ping()
            self._world.progress(name)
        except CampaignNotFoundError:
            return None
        return [Status(letter) for letter in (client.get(keys.status(name)) or b"").decode()]

    def _tidy(self, name):
        """As an operator does, who has looked: what is in doubt is dropped, and the campaign may go."""
        letters = office(self._world.kept())
        found = letters.find(Filter(campaign=name), time.time())
        for _ in letters.purge(list(found)):
            pass

    def whole_history(self):
        """Every Message-ID of the history → its outcome and whether it was to be held when in doubt."""
        found = {}
        with closing(open_history(self._world.history_url)) as history:
            for one in self.mailings:
                for record in history.export(one.name):
                    found[record.message_id] = (record.outcome, one.on_uncertain)
        return found

    def verdict(self):
        """Sums over the whole run, and what is wrong with them."""
        self.read_record()
        said = self.whole_history()
        sums = Counter()
        for one in self.mailings:
            sums.update(one.outcomes or {})
        lost = [
            name
            for name, (word, _) in said.items()
            if word == "accepted" and not self.accepted[name]
        ]
        unknown = [name for name in self.accepted if name not in said]
        twice = Counter(
            said[name][1]
            for name, times in self.accepted.items()
            for _ in range(times - 1)
            if name in said
        )
        wrong = []
        if lost:
            wrong.append(f"{len(lost)} accepted that the mail server never had")
        if unknown:
            wrong.append(f"{len(unknown)} in the mail server's record that the history lacks")
        if twice["hold"]:
            wrong.append(f"{twice['hold']} accepted twice although they were to be held")
        return sums, twice["resend"], wrong
