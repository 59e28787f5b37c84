"""Make the example lists: `python examples/make_recipients.py` writes recipients.csv and members.csv.

Messy on purpose, and the same at every run. Some domains tell the demo's mail server what to do:

greylist.example   deferred at the first try (451 4.7.1), accepted at the next
gone.example       refused for good (550 5.1.1)
full.example       deferred at every try (452 4.2.2)
picky.example      the content is refused (554 5.7.1)
"""

import csv
import io
import random
from pathlib import Path

HERE = Path(__file__).parent
COLUMNS = ("email", "name", "city", "plan", "language")

FIRST = [
    "Ada",
    "Grace",
    "Alan",
    "Barbara",
    "Donald",
    "Edsger",
    "Hedy",
    "Linus",
    "Margaret",
    "Niklaus",
    "Radia",
    "Tim",
    "Frances",
    "Ken",
    "Jürgen",
    "Zoë",
    "Søren",
    "Łukasz",
    "Noël",
    "Siân",
    "Björk",
    "Ásgeir",
    "İpek",
    "Žofia",
    "Renée",
    "Håkon",
    "Ştefan",
    "Nuño",
]
LAST = [
    "Lovelace",
    "Hopper",
    "Turing",
    "Liskov",
    "Knuth",
    "Dijkstra",
    "Lamarr",
    "Hamilton",
    "Wirth",
    "Perlman",
    "Allen",
    "Thompson",
    "Müller",
    "Groß",
    "Sørensen",
    "Wałęsa",
    "O'Brien",
    "D'Angelo",
    "Ångström",
    "Núñez",
    "Şahin",
    "Đorđević",
    "van-der-Berg",
]
ELSEWHERE = [
    "Анна Иванова",
    "Дмитрий Шостакович",
    "Олена Пчілка",
    "王小明",
    "李娜",
    "山田 太郎",
    "鈴木 花子",
    "김민준",
    "Ελένη Παπαδοπούλου",
    "محمد علي",
    "רחל כהן",
    "अनिता शर्मा",
    "สมชาย ใจดี",
    "Nguyễn Thị Hà",
]
CITIES = [
    "Zürich",
    "Kraków",
    "São Paulo",
    "Москва",
    "東京",
    "Reykjavík",
    "Ghent",
    "Αθήνα",
    "Port-au-Prince",
    "北京",
]
DOMAINS = [
    "mail.example",
    "post.example",
    "inbox.example",
    "letters.example",
    "web.example",
    "uni.example",
]
IDN = ["münchen.example", "straße.example", "пошта.example", "例え.example", "δοκιμή.example"]
ODD = {
    "greylist.example": 60,
    "gone.example": 40,
    "full.example": 5,
    "picky.example": 8,
}
MALFORMED = (
    "",
    " ",
    "nobody",
    "two@@signs.example",
    "@nolocal.example",
    "nodomain@",
    "dots..twice@mail.example",
    ".dot.first@mail.example",
    "space in@mail.example",
    "comma,inside@mail.example",
    "angle<bracket@mail.example",
    "under_score@bad_domain.example",
    "label@-dash.example",
    "long." + "x" * 70 + "@mail.example",
    "tab\tinside@mail.example",
    "ada@mail.example, bob@mail.example",
)
QUOTED = ('"ada lovelace"', '"with@sign"', '"dot.at.end."', '"semi;colon"', '"O\'Hara, J."')
PLANS = ("free", "basic", "pro", "")
LANGUAGES = ("en", "en", "en", "de")


def main() -> None:
    """Write both lists."""
    dice = random.Random(20260501)
    write(HERE / "recipients.csv", recipients(dice, 5200))
    write(HERE / "members.csv", [person(dice, f"member{n}", "club.example") for n in range(120)])


def recipients(dice: random.Random, size: int) -> list[list[str]]:
    """About *size* rows, with faults strewn in."""
    rows = [person(dice, f"{n:04}", dice.choice(DOMAINS)) for n in range(size)]
    rows += [person(dice, f"idn{n}", domain) for n, domain in enumerate(IDN * 6)]
    rows += [person(dice, f"odd{n}", name) for name, times in ODD.items() for n in range(times)]
    rows += [with_email(dice, f"{local}@{dice.choice(DOMAINS)}") for local in QUOTED]
    rows += [with_email(dice, f"{local}@mail.example") for local in ("jürgen", "анна", "花子")]
    dice.shuffle(rows)
    doubles = dice.sample([row for row in rows if row[0].isascii()], 90)
    rows += [[variant(dice, row[0]), *row[1:]] for row in doubles]
    rows += [with_email(dice, email) for email in MALFORMED]
    rows += [person(dice, f"cut{n}", "mail.example")[:3] for n in range(6)]
    head, tail = rows[:1000], rows[1000:]
    dice.shuffle(tail)
    return head + tail


def person(dice: random.Random, mark: str, domain: str) -> list[str]:
    """One row; *mark* keeps the address unique."""
    if dice.random() < 0.12:
        name, local = dice.choice(ELSEWHERE), f"reader.{mark}"
    else:
        first, last = dice.choice(FIRST), dice.choice(LAST)
        name, local = f"{first} {last}", f"{plain(first)}.{plain(last)}.{mark}"
    if dice.random() < 0.02:
        local += "+news"
    city = dice.choice(CITIES)
    return [f"{local}@{domain}", name, city, dice.choice(PLANS), dice.choice(LANGUAGES)]


def with_email(dice: random.Random, email: str) -> list[str]:
    """One row with just this address."""
    return [email, *person(dice, "x", "x")[1:]]


def variant(dice: random.Random, email: str) -> str:
    """The same mailbox, written otherwise."""
    local, _, domain = email.rpartition("@")
    return dice.choice((email.upper(), f"{local}@{domain.upper()}", f"  {email} ", email))


def plain(name: str) -> str:
    """The ASCII letters of *name*, in lower case."""
    return (
        "".join(letter for letter in name.lower() if letter.isascii() and letter.isalpha()) or "x"
    )


def write(file: Path, rows: list[list[str]]) -> None:
    """Write *rows* under the names of their columns."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    file.write_text(text.getvalue(), encoding="utf-8")


if __name__ == "__main__":
    main()
