"""A name server on loopback that answers TXT questions, and says that it knows a top-level domain."""

import socket
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class NameServer:
    """Answers TXT questions out of *zone* over UDP; a name with None is refused by SERVFAIL."""

    def __init__(self, zone):
        self.zone = zone
        self.asked = []
        self._door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._door.bind(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._door.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        host, _, port = self.place.partition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (host, int(port)))
        self._thread.join()
        self._door.close()

    def _serve(self):
        while True:
            octets, whose = self._door.recvfrom(4096)
            if not octets:
                return
            self._door.sendto(self._answer(dns.message.from_wire(octets)).to_wire(), whose)

    def _answer(self, query):
        name = query.question[0].name
        key = name.to_text(omit_final_dot=True)
        self.asked.append(key)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        texts = self.zone.get(key, ())
        if query.question[0].rdtype == dns.rdatatype.NS:
            servers = self.zone.get(f"NS {key}", ())
            if servers:
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", "NS", *servers))
            else:
                answer.set_rcode(dns.rcode.NXDOMAIN)
        elif texts is None:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif texts:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *map(pieces, texts)))
        elif not any(key in one for one in self.zone):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer


def pieces(text):
    """*text* as a TXT record holds it: pieces of 255 octets at most."""
    return " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))
