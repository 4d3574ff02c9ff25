#!/usr/bin/python3
"""The golden tests can fail: each kind of wrong expectation is noticed. Usage: golden_test.py SLUICE_REPLAY"""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from scapy.all import ARP, ICMP, IP, TCP  # noqa: E402

import kit  # noqa: E402
import run  # noqa: E402

REPLAY = pathlib.Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else None


def make_case():
    """A case that passes: one packet forwarded, one dropped, one punted."""
    case = kit.Case("self-test")
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(dport=80)
    case.send(kit.ether_in() / packet).forwarded(kit.ether_out("192.0.2.11") / packet, "www", "web/web-1")
    case.send(kit.ether_in() / IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(dport=81)).dropped("vip_no_service")
    case.send(kit.ether_in() / ARP(op="is-at", psrc="192.0.2.1")).punted("control")
    return case


class GoldenTest(unittest.TestCase):
    def problems(self, case):
        with tempfile.TemporaryDirectory() as folder:
            return run.run(case, REPLAY, pathlib.Path(folder))

    def assert_noticed(self, case, text):
        self.assertIn(text, "\n".join(self.problems(case)))

    def test_right_expectations_pass(self):
        self.assertEqual(self.problems(make_case()), [])

    def test_a_changed_byte(self):
        case = make_case()
        out = bytearray(case.packets[0].out)
        out[30] ^= 1
        case.packets[0].out = bytes(out)
        self.assert_noticed(case, "out frame 1: differs at byte 30")

    def test_a_frame_too_short(self):
        case = make_case()
        case.packets[2].out = case.packets[2].out[:-1]
        self.assert_noticed(case, "host frame 1: differs at byte")

    def test_a_missing_frame(self):
        case = make_case()
        case.packets[1].record = {"fate": "forwarded"}
        case.packets[1].out = b"x"
        self.assert_noticed(case, "out: 1 frames, expected 2")

    def test_a_wrong_answer(self):
        case = make_case()
        request = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4, id=1) / ICMP(id=1)
        reply = IP(src=kit.VIP_V4, dst=kit.CLIENT_V4, id=1) / ICMP(type=0, id=1)
        case.send(kit.ether_in() / request).answered(kit.ether_back() / reply)
        self.assertEqual(self.problems(case), [])
        case.packets[3].out = bytes(kit.ether_in() / reply)
        self.assert_noticed(case, "out frame 2: differs at byte 1")

    def test_a_wrong_reason(self):
        case = make_case()
        case.packets[1].record["reason"] = "vip_icmp"
        self.assert_noticed(case, "packet 2: became")
        self.assert_noticed(case, "report.totals.dropped.vip_icmp is None, expected 1")
        self.assert_noticed(case, "report.totals.dropped.vip_no_service is 1, expected none")

    def test_a_wrong_backend(self):
        case = make_case()
        case.services["pools"][0]["backends"][0]["name"] = "web-2"
        case.packets[0].record["backend"] = "web/web-1"
        with self.assertRaises(KeyError):
            self.problems(case)

    def test_a_wrong_rung(self):
        case = make_case()
        case.packets[0].record["rung"] = "connection_table"
        self.assert_noticed(case, "report.rungs.connection_table is 0, expected 1")

    def test_a_wrong_punt_class(self):
        case = make_case()
        case.packets[2].record["class"] = "other"
        self.assert_noticed(case, "packet 3: became")

    def test_a_wrong_stated_counter(self):
        case = make_case()
        case.count("vips", "www", new_flows=2)
        self.assert_noticed(case, "stated.vips.www.new_flows is 1, expected 2")

    def test_a_packet_without_an_expectation(self):
        case = make_case()
        case.send(b"x")
        with self.assertRaises(ValueError):
            self.problems(case)

    def test_a_wrong_step(self):
        for step, text in (
            (lambda case: case.backend_drain("web/web-2"), "the change was refused"),
            (lambda case: case.backend_drain("web/web-1", refused="no"), "the change was made"),
            (lambda case: case.expect(totals={"forwarded": 2}), "totals.forwarded is 1, expected 2"),
        ):
            case = make_case()
            step(case)
            self.assert_noticed(case, text)

    def test_a_step_in_the_wrong_place(self):
        case = make_case()
        case.expect(totals={"received": 3})
        self.assertEqual(self.problems(case), [])
        case.steps = [(2, step) for _, step in case.steps]
        self.assert_noticed(case, "totals.received is 2, expected 3")

    def test_an_error_of_the_program(self):
        case = make_case()
        case.services["seed"] = "short"
        self.assert_noticed(case, "sluice-replay ended with 1")


if __name__ == "__main__":
    if REPLAY is None:
        sys.exit(__doc__)
    unittest.main()
