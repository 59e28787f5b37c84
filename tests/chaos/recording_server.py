"""A submission server that writes down what it accepts, and misbehaves on command.

Run as a process of its own, so that it can be killed: ``python recording_server.py JOURNAL PORT CONTROL``
(ports; 0 takes a free one; the two are printed). Each event is a line of JSON appended to the journal in
one write: what is accepted is on record before the reply leaves, as with a server that queues to disk.

On the control port, each line of JSON is a wish and is answered with a line:

``{"hold": PHASE, "skip": n}``   the n-th session from now that gets to PHASE stops there
``{"await": seconds}``           answered when one has stopped there
``{"release": true}``            it goes on
``{"cut": PHASE, "times": n}``   the next n sessions that get to PHASE are cut off there
``{"delay": seconds}``           each message takes so long to be accepted
``{"answer": [STAGE, ADDRESS PART, REPLY, n]}``   the next n such commands get this reply

Phases: greeting, mail, data (before 354), content (the first octets are there), dot (all are there,
nothing is on record), recorded (on record, no reply), replied.
"""

import itertools
import json
import os
import re
import socket
import socketserver
import sys
import threading
import time
from collections import Counter

PHASES = ("greeting", "mail", "data", "content", "dot", "recorded", "replied")


class CutError(Exception):
    """The session ends here."""


class Wishes:
    """What tests have asked for; shared by all sessions."""

    def __init__(self):
        self._lock = threading.Lock()
        self._hold = None
        self._skip = 0
        self.held = threading.Event()
        self.released = threading.Event()
        self._cuts = Counter()
        self._answers = []
        self.delay = 0.0

    def take(self, wish):
        with self._lock:
            if "hold" in wish:
                self._hold, self._skip = wish["hold"], wish.get("skip", 0)
                self.held.clear()
                self.released.clear()
            elif "release" in wish:
                self._hold = None
                self.released.set()
            elif "cut" in wish:
                self._cuts[wish["cut"]] = wish["times"]
            elif "delay" in wish:
                self.delay = wish["delay"]
            elif "answer" in wish:
                self._answers.append(list(wish["answer"]))
        if "await" in wish:
            return self.held.wait(wish["await"])
        return True

    def at(self, phase):
        """A session has got to *phase*."""
        with self._lock:
            if self._cuts[phase] > 0:
                self._cuts[phase] -= 1
                raise CutError
            if self._hold != phase:
                return
            if self._skip > 0:
                self._skip -= 1
                return
            self._hold = None
            self.held.set()
        self.released.wait()

    def answer(self, stage, address):
        with self._lock:
            for wish in self._answers:
                if wish[0] == stage and wish[1] in address and wish[3] > 0:
                    wish[3] -= 1
                    return wish[2]
        return None


class Journal:
    def __init__(self, path):
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, event, connection, **more):
        line = {"at": time.time(), "event": event, "connection": connection, **more}
        os.write(self._descriptor, json.dumps(line).encode() + b"\n")


class Session(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    serials = itertools.count(1)

    def handle(self):
        self.serial = next(self.serials) + 1000 * os.getpid()
        self.server.journal.note("connected", self.serial)
        try:
            self.at("greeting")
            self.say("220 recorder")
            while line := self.rfile.readline():
                if not self.obey(line.decode("utf-8", "replace").rstrip("\r\n")):
                    return
        except (CutError, OSError):
            self.server.journal.note("cut", self.serial)
            return
        self.server.journal.note("hung up", self.serial)

    def at(self, phase):
        self.server.wishes.at(phase)

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def obey(self, line):
        verb = line[:4].upper()
        if verb == "EHLO":
            for text in ("250-recorder", "250-PIPELINING", "250-8BITMIME", "250-SMTPUTF8"):
                self.say(text)
            self.say("250 AUTH PLAIN LOGIN")
        elif verb == "AUTH":
            refusal = self.server.wishes.answer("AUTH", "")
            self.server.journal.note("refused login" if refusal else "login", self.serial)
            self.say(refusal or "235 2.7.0 welcome")
        elif verb == "MAIL":
            self.at("mail")
            self.recipient = None
            self.say(self.server.wishes.answer("MAIL", line) or "250 2.1.0 sender ok")
        elif verb == "RCPT":
            refusal = self.server.wishes.answer("RCPT", line)
            if refusal:
                self.server.journal.note("refused", self.serial, to=re.search("<(.*?)>", line)[1])
            else:
                self.recipient = re.search("<(.*?)>", line)[1]
            self.say(refusal or "250 2.1.5 recipient ok")
        elif verb == "DATA":
            self.take_content()
        elif verb == "QUIT":
            self.server.journal.note("quit", self.serial)
            self.say("221 2.0.0 goodbye")
            return False
        else:
            self.say("250 2.0.0 ok" if verb in ("RSET", "NOOP") else "502 5.5.1 what?")
        return True

    def take_content(self):
        if self.recipient is None:
            self.say("554 5.5.1 no valid recipients")
            return
        self.at("data")
        self.say("354 go on")
        message_id, date, in_header, first = "", "", True, True
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                raise CutError
            if first:
                first = False
                self.at("content")
            if line == b"\r\n":
                in_header = False
            if in_header and line[:11].lower() == b"message-id:":
                message_id = line[11:].strip().decode()
            if in_header and line[:5].lower() == b"date:":
                date = line[5:].strip().decode()
        time.sleep(self.server.wishes.delay)
        self.at("dot")
        refusal = self.server.wishes.answer("FINAL", self.recipient)
        if refusal:
            self.say(refusal)
            return
        self.server.journal.note(
            "accepted", self.serial, id=message_id, date=date, to=self.recipient
        )
        self.at("recorded")
        self.say("250 2.0.0 taken")
        self.at("replied")


class Control(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            done = self.server.wishes.take(json.loads(line))
            self.wfile.write(json.dumps(done).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        """Clients that are killed are the purpose."""


def main(path, port, control_port):
    wishes = Wishes()
    submission = Server(("127.0.0.1", int(port)), Session)
    control = Server(("127.0.0.1", int(control_port)), Control)
    submission.journal, submission.wishes, control.wishes = Journal(path), wishes, wishes
    for server in (submission, control):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(submission.server_address[1], control.server_address[1], flush=True)  # noqa: T201
    threading.Event().wait()


if __name__ == "__main__":
    socket.setdefaulttimeout(None)
    main(*sys.argv[1:])
