#!/usr/bin/python3
"""The oracle itself against published vectors, so that an error in it cannot hide one in dataplane/lb."""

import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import aes128  # noqa: E402
import aes_round  # noqa: E402
import cookie  # noqa: E402
import flow_hash  # noqa: E402
import maglev  # noqa: E402
import quic_lb  # noqa: E402
import siphash  # noqa: E402
import vectors  # noqa: E402


class SipHash(unittest.TestCase):
    def test_appendix_a_of_the_paper(self):
        self.assertEqual(siphash.siphash24(bytes(range(16)), bytes(range(15))), 0xA129CA6149BE45E5)

    def test_reference_implementation_of_its_authors(self):
        self.assertEqual(siphash.siphash24(bytes(range(16)), b""), 0x726FDB47DD0E0E31)
        self.assertEqual(siphash.siphash24(bytes(range(16)), bytes(range(8))), 0x93F5F5799A932462)


class AesRound(unittest.TestCase):
    def test_fips_197_appendix_b_round_1(self):
        state = bytes.fromhex("193de3bea0f4e22b9ac68d2ae9f84808")
        key = bytes.fromhex("a0fafe1788542cb123a339392a6c7605")
        self.assertEqual(aes_round.aes_round(state, key).hex(), "a49c7ff2689f352b6b5bea43026a5049")


class QuicLb(unittest.TestCase):
    def test_four_passes_of_the_draft(self):
        key = bytes.fromhex("fdf726a9893ec05c0632d3956680baf0")
        value = quic_lb.connection_id(0, bytes.fromhex("31441a"), bytes.fromhex("9c69c275"), key)
        self.assertEqual(value.hex(), "0767947d29be054a")


class Aes128(unittest.TestCase):
    def test_fips_197_appendix_c_1(self):
        block = bytes.fromhex("00112233445566778899aabbccddeeff")
        self.assertEqual(aes128.encrypt(bytes(range(16)), block).hex(), "69c4e0d86a7b0430d8cdb78070b4c55a")


class Cookie(unittest.TestCase):
    def test_the_field_of_aes(self):
        """FIPS 197, section 4.2: {57} times {83} is {c1}."""
        self.assertEqual(cookie.polynomial(8), 0x11B)
        self.assertEqual(cookie.multiply(8, 0x57, 0x83), 0xC1)

    def test_inverses(self):
        for degree in (2, 8, 13):
            for a in (1, 2, 3, (1 << degree) - 1):
                self.assertEqual(cookie.multiply(degree, a, cookie.inverse(degree, a)), 1)

    def test_each_value_has_one_cookie(self):
        layout = cookie.Layout(key=1, tier=0, backend=8, check=0, clock=0)
        flow = ("192.0.2.1", "203.0.113.10", 40000, 80, 6)
        found = {cookie.encode(layout, vectors.SEED, 0, flow, 0, backend) for backend in range(256)}
        self.assertEqual(found, set(range(256)))

    def test_what_a_cookie_says(self):
        layout = cookie.Layout(key=2, tier=3, backend=7, check=2, clock=4)
        for flow in (("192.0.2.1", "203.0.113.10", 40000, 80, 6), ("2001:db8::1", "2001:db8:f::10", 40000, 80, 6)):
            made = cookie.encode(layout, vectors.SEED, 2, flow, 5, 99)
            self.assertEqual(cookie.decode(layout, vectors.SEED, flow, made), (2, 5, 99, 0))

    def test_the_wire_format(self):
        """The layout of the first prototype: one bit, fifteen bits, the low half of the clock."""
        layout = cookie.Layout(key=1, tier=0, backend=15, check=0, clock=0)
        self.assertEqual(cookie.wire(layout, 0x1234ABCD, 0x8001), 0xABCD8001)
        layout = cookie.Layout(key=1, tier=0, backend=11, check=0, clock=4)
        self.assertEqual(cookie.wire(layout, 0x1234ABCD, 0xFFF), 0x34ABCFFF)


class FlowHash(unittest.TestCase):
    def test_slots_span_the_table(self):
        self.assertEqual(flow_hash.slot_of(0, 65537), 0)
        self.assertEqual(flow_hash.slot_of((1 << 64) - 1, 65537), 65536)

    def test_every_input_counts(self):
        keys = flow_hash.HashKeys(vectors.SEED)
        base = ("192.0.2.1", "203.0.113.10", 1000, 80, 6)
        changed = [
            ("192.0.2.2", "203.0.113.10", 1000, 80, 6),
            ("192.0.2.1", "203.0.113.11", 1000, 80, 6),
            ("192.0.2.1", "203.0.113.10", 1001, 80, 6),
            ("192.0.2.1", "203.0.113.10", 1000, 81, 6),
            ("192.0.2.1", "203.0.113.10", 1000, 80, 17),
        ]
        hashes = {flow_hash.flow_hash(keys, *flow) for flow in [base, *changed]}
        self.assertEqual(len(hashes), 6)


class Maglev(unittest.TestCase):
    PAPER = [(3, 4), (0, 2), (3, 1)]

    def test_table_1_of_the_paper(self):
        self.assertEqual(maglev.fill(self.PAPER, [1, 1, 1], 7), [1, 0, 1, 0, 2, 2, 0])

    def test_table_1_of_the_paper_without_b1(self):
        without = [self.PAPER[0], self.PAPER[2]]
        self.assertEqual(maglev.fill(without, [1, 1], 7), [0, 0, 0, 0, 1, 1, 1])

    def test_shares_follow_weights(self):
        slots = maglev.table(flow_hash.HashKeys(vectors.SEED), {"a": 1, "b": 2, "c": 1, "gone": 0}, 4001)
        self.assertEqual(sorted((slots.count(n) for n in "abc"), reverse=True), [2001, 1000, 1000])
        self.assertNotIn("gone", slots)

    def test_a_pool_without_members_has_no_slots(self):
        self.assertEqual(maglev.table(flow_hash.HashKeys(vectors.SEED), {"a": 0}, 13), [])


if __name__ == "__main__":
    unittest.main()
