"""`mailer history`, as people type it."""


def test_upgrade_makes_the_tables(mailer, place):
    with (place / "mailer.toml").open("a") as file:
        file.write(f'[history]\nurl = "sqlite:///{place}/history.sqlite"\n')

    ran = mailer("history", "upgrade")

    assert (ran.code, ran.err) == (0, "")
    assert (place / "history.sqlite").is_file()


def test_without_a_history_it_says_how_to_have_one(mailer):
    ran = mailer("history", "upgrade")

    assert ran.code == 1
    assert "add [history] with a url" in ran.err


def test_a_database_that_is_away_is_one_line_without_its_password(mailer, place):
    with (place / "mailer.toml").open("a") as file:
        file.write('[history]\nurl = "postgresql://mailer:hunter2@127.0.0.1:1/mailer"\n')

    ran = mailer("history", "upgrade")

    assert ran.code == 1
    assert len(ran.err.splitlines()) == 1
    assert "hunter2" not in ran.err
