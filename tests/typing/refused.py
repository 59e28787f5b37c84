"""What type checkers must refuse, line by line: nothing here is run, and `make lint` leaves it out."""

from mailer import Campaign, asend, send
from mailer import sned  # refused

campaign = Campaign("spring", template="newsletter", lst_id="news.shop.example")  # refused
Campaign("spring", template="newsletter", on_uncertain="drop")  # refused
Campaign("spring", template="newsletter", retry={"attempts": "many"})  # refused
campaign.enqueue([{"email": "ada@example.org"}], proceses=2)  # refused
send("welcome", to="ada@example.org", contxt={"name": "Ada"})  # refused
send("welcome")  # refused
asend("welcome", to="ada@example.org", ky="signup-42")  # refused
message_id: int = send("welcome", to="ada@example.org")  # refused
