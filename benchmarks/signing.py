"""What a signature costs beside the bare operation of its key.

    python benchmarks/signing.py [--rounds 15] [--json]

CPU microseconds for the example newsletter of 15 KB, the cheapest of interleaved rounds: RSA of 2048
bits, Ed25519, and both, each as `mailer.deliver.dkim` signs and as the library signs 300 octets.
"""

import argparse
import json
import time
from collections.abc import Callable

import letters
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from mailer.compose import Composer, Design
from mailer.deliver.dkim import Signer, signatures
from mailer.mail.recipients import Recipient, parse

CALLS = 100
SOME = b"x" * 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    costs: dict[str, tuple[float, float]] = {}
    cases = _cases()
    for _ in range(wanted.rounds):
        for name, (bare, signed) in cases.items():
            found = _cpu(bare), _cpu(signed)
            costs[name] = tuple(map(min, found, costs.get(name, found)))
    if wanted.json:
        print(json.dumps(costs))
        return
    print("                    bare  signed  ratio")
    for name, (bare, signed) in costs.items():
        print(f"{name:18}{bare:6.0f}{signed:8.0f}{signed / bare:7.2f}")


def _cases() -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    content = _newsletter()
    one = rsa.generate_private_key(65537, 2048)
    other = ed25519.Ed25519PrivateKey.generate()
    signers = [Signer("shop.example", "r", _pem(one)), Signer("shop.example", "e", _pem(other))]

    def by_rsa() -> bytes:
        return one.sign(SOME, padding.PKCS1v15(), hashes.SHA256())

    return {
        "RSA-2048": (by_rsa, lambda: signatures(signers[:1], content)),
        "Ed25519": (lambda: other.sign(SOME), lambda: signatures(signers[1:], content)),
        "both": (lambda: (by_rsa(), other.sign(SOME)), lambda: signatures(signers, content)),
    }


def _newsletter() -> bytes:
    composer = Composer(
        Design(
            campaign="signing",
            template="newsletter",
            sender=letters.SENDER,
            templates_path=letters.TEMPLATES,
        )
    )
    recipient = parse(next(letters.rows(1)), 1)
    assert isinstance(recipient, Recipient)
    return composer.compose(recipient).joined(composer.shared)


def _pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(CALLS):
        work()
    return (time.process_time() - began) / CALLS * 1e6


if __name__ == "__main__":
    main()
