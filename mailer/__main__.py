"""`python -m mailer` is `mailer`."""

from mailer.cli import main

if __name__ == "__main__":
    main()
