"""The cookies in TCP timestamps that dataplane/lb/cookie.h and cookie_layout.h define.

Fields are done by polynomials as Python's whole numbers and inverses by Euclid: nothing is shared with dataplane/lb."""

import functools
import ipaddress
from dataclasses import dataclass

from aes128 import encrypt
from aes_round import xor


@dataclass(frozen=True)
class Layout:
    key: int
    tier: int
    backend: int
    check: int
    clock: int

    @property
    def permuted(self):
        return self.tier + self.backend + self.check

    @property
    def bits(self):
        return self.key + self.permuted


def _divide(a, b):
    """Quotient and remainder of polynomials over GF(2)."""
    quotient = 0
    while a.bit_length() >= b.bit_length():
        shift = a.bit_length() - b.bit_length()
        quotient |= 1 << shift
        a ^= b << shift
    return quotient, a


def _product(a, b):
    result = 0
    for i in range(b.bit_length()):
        if b >> i & 1:
            result ^= a << i
    return result


@functools.cache
def polynomial(degree):
    """The smallest irreducible one: no polynomial of up to half its degree divides it."""
    for candidate in range(1 << degree, 2 << degree):
        if all(_divide(candidate, divisor)[1] for divisor in range(2, 2 << degree // 2)):
            return candidate
    raise AssertionError


def multiply(degree, a, b):
    return _divide(_product(a, b), polynomial(degree))[1]


def inverse(degree, a):
    """By the extended Euclidean algorithm."""
    r, next_r, s, next_s = polynomial(degree), a, 0, 1
    while next_r:
        quotient, rest = _divide(r, next_r)
        r, next_r = next_r, rest
        s, next_s = next_s, s ^ _product(quotient, next_s)
    assert r == 1
    return _divide(s, polynomial(degree))[1]


def coefficients(secret, client, vip, client_port, vip_port, protocol, degree):
    """(a, b) of the tuple's permutation."""
    source = ipaddress.ip_address(client).packed
    destination = ipaddress.ip_address(vip).packed
    tail = client_port.to_bytes(2, "big") + vip_port.to_bytes(2, "big") + bytes([protocol])
    if len(source) == 4:
        tweak = encrypt(encrypt(secret, b"sluice cookie v4"), source + destination + tail + bytes(3))
    else:
        key = encrypt(secret, b"sluice cookie v6")
        tweak = encrypt(key, source)
        tweak = encrypt(key, xor(tweak, destination))
        tweak = encrypt(key, xor(tweak, tail + bytes(11)))
    words = [int.from_bytes(tweak[i : i + 4], "little") for i in (0, 4)]
    return 1 + words[0] * ((1 << degree) - 1) // (1 << 32), words[1] % (1 << degree)


def encode(layout, secret, number, flow, tier, backend):
    a, b = coefficients(secret, *flow, layout.permuted)
    plain = (tier << layout.backend | backend) << layout.check
    return number << layout.permuted | multiply(layout.permuted, inverse(layout.permuted, a), plain) ^ b


def decode(layout, secret, flow, cookie):
    """(key number, tier, backend, check) that a cookie made with this secret says."""
    a, b = coefficients(secret, *flow, layout.permuted)
    plain = multiply(layout.permuted, a, cookie % (1 << layout.permuted) ^ b)
    ids, check = divmod(plain, 1 << layout.check)
    return cookie >> layout.permuted, *divmod(ids, 1 << layout.backend), check


def wire(layout, timestamp, cookie):
    """The timestamp that the client sees, put together from its two parts as text."""
    clock = format(timestamp, "032b")[: 32 - layout.clock][layout.bits - layout.clock :]
    return int(clock + format(cookie, f"0{layout.bits}b"), 2)
