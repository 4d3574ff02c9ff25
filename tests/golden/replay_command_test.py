#!/usr/bin/python3
"""sluice-replay as a command: capture formats, options, reports, errors. Usage: replay_command_test.py SLUICE_REPLAY"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import yaml  # noqa: E402
from scapy.all import ARP, IP, TCP, Ether  # noqa: E402

import capture  # noqa: E402
import kit  # noqa: E402

REPLAY = pathlib.Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else None
START_NS = 1_700_000_000_123_456_000
NIC_MAC = "90:e2:ba:00:00:01"


class ReplayCommandTest(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)
        case = kit.Case("command")
        case.pool("web", {"web-1": "192.0.2.11"})
        case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
        self.write_config(case)
        self.packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=9, dport=80)
        self.frames = [
            (START_NS, bytes(kit.ether_in() / self.packet)),
            (START_NS + 1000, bytes(kit.ether_in() / ARP(op="is-at", psrc="192.0.2.1"))),
            (START_NS + 2000, bytes(kit.ether_in() / self.packet)),
        ]

    def write_config(self, case):
        (self.folder / "config.yaml").write_text(yaml.safe_dump(case.config()))

    def path(self, name):
        return str(self.folder / name)

    def run_replay(self, *arguments, stdin=None):
        command = [str(REPLAY), *arguments]
        return subprocess.run(command, capture_output=True, timeout=60, check=False, stdin=stdin)

    def replay(self, *arguments, name="in.pcap"):
        outputs = ["--out", self.path("out.pcap"), "--host", self.path("host.pcap")]
        result = self.run_replay("--config", self.path("config.yaml"), "--in", self.path(name), *outputs, *arguments)
        self.assertEqual(result.stderr.decode(), "")
        self.assertEqual(result.returncode, 0)
        return result.stdout.decode()

    def assert_error(self, status, text, *arguments):
        result = self.run_replay(*arguments)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertIn(text, result.stderr.decode())

    def assert_outputs(self, precision_ns=1):
        out = bytes(kit.ether_out("192.0.2.11") / self.packet)
        stamps = [t // precision_ns * precision_ns for t, _ in self.frames]
        self.assertEqual(capture.read(self.path("out.pcap")), [(stamps[0], out), (stamps[2], out)])
        self.assertEqual(capture.read(self.path("host.pcap")), [(stamps[1], self.frames[1][1])])

    def test_capture_formats(self):
        self.frames = [(t + 789, frame) for t, frame in self.frames]
        for nanoseconds in (True, False):
            for byte_order in "<>":
                with self.subTest(nanoseconds=nanoseconds, byte_order=byte_order):
                    capture.write(self.path("in.pcap"), self.frames, nanoseconds, byte_order)
                    self.replay()
                    self.assert_outputs(1 if nanoseconds else 1000)

    def test_pcapng(self):
        capture.write_pcapng(self.path("in.pcapng"), self.frames)
        self.replay(name="in.pcapng")
        self.assert_outputs()

    def test_standard_input(self):
        capture.write(self.path("in.pcap"), self.frames)
        with open(self.path("in.pcap"), "rb") as stdin:
            result = self.run_replay(
                "--config", self.path("config.yaml"), "--in", "-", "--mac", kit.DIRECTOR_MAC, "--json", stdin=stdin
            )
        self.assertEqual(json.loads(result.stdout)["totals"]["forwarded"], 2)
        self.assert_error(1, "--mac is needed", "--config", self.path("config.yaml"), "--in", "-")

    def test_own_mac_is_found_in_the_capture(self):
        stray = Ether(src=kit.ROUTER_MAC, dst="02:00:00:00:99:99") / IP(src=kit.CLIENT_V4, dst="10.0.0.1") / TCP()
        wanted = Ether(src=kit.ROUTER_MAC, dst=NIC_MAC) / self.packet
        capture.write(self.path("in.pcap"), [(START_NS, bytes(stray)), (START_NS, bytes(wanted))])
        report = json.loads(self.replay("--json"))
        self.assertEqual([p["fate"] for p in report["packets"]], ["dropped", "forwarded"])
        self.assertEqual(report["packets"][0]["reason"], "other_destination_mac")
        out = Ether(src=NIC_MAC, dst=kit.mac_of("192.0.2.11")) / self.packet
        self.assertEqual(capture.read(self.path("out.pcap")), [(START_NS, bytes(out))])

    def test_frames_cut_by_the_snap_length(self):
        packet = kit.ether_in() / self.packet / (b"d" * 400)
        capture.write(self.path("in.pcap"), [(START_NS, bytes(packet))], snap_length=96)
        report = json.loads(self.replay("--json"))
        self.assertEqual((report["packets"][0]["fate"], report["packets"][0]["cut"]), ("forwarded", True))
        [(_, out)] = capture.read(self.path("out.pcap"))
        self.assertEqual(len(out), len(bytes(packet)))
        self.assertEqual(out[96:], bytes(len(out) - 96))
        self.assertIn("1 packets were cut", self.replay())

    def test_neighbours(self):
        capture.write(self.path("in.pcap"), self.frames)
        (self.folder / "n.yaml").write_text("192.0.2.11: 06:05:04:03:02:01\n")
        self.replay("--neighbours", self.path("n.yaml"))
        self.assertEqual(capture.read(self.path("out.pcap"))[0][1][:6].hex(), "060504030201")

    def test_wrong_neighbours(self):
        capture.write(self.path("in.pcap"), self.frames)
        command = ["--config", self.path("config.yaml"), "--in", self.path("in.pcap"), "--neighbours"]
        for text, error in (
            ("192.0.2.300: unresolved\n", 'n.yaml:1: "192.0.2.300" is no IPv4 or IPv6 address'),
            ("192.0.2.1: gone\n", "neither a MAC address"),
            ("- 192.0.2.1\n", "n.yaml:1: expected a mapping"),
            ("{\n", "not YAML"),
            ("192.0.2.1: unresolved\n192.0.2.1: unresolved\n", "n.yaml:2: 192.0.2.1 is listed twice"),
        ):
            with self.subTest(text=text):
                (self.folder / "n.yaml").write_text(text)
                self.assert_error(1, error, *command, self.path("n.yaml"))
        self.assert_error(1, "cannot be opened", *command, self.path("missing.yaml"))

    def test_ports(self):
        case = kit.Case("ports")
        lan = {"name": "lan", "devices": ["net_null1"], "addresses": ["10.9.0.2/16"], "exception": {"enabled": False}}
        case.node["ports"].append(lan)
        self.write_config(case)
        capture.write(self.path("in.pcap"), [(START_NS, bytes(Ether(dst="ff:ff:ff:ff:ff:ff") / ARP()))])
        self.assertEqual(json.loads(self.replay("--json"))["totals"]["punted"], 1)
        report = json.loads(self.replay("--json", "--port", "lan"))
        self.assertEqual(report["totals"]["dropped"], {"punt_no_host": 1})
        command = ["--config", self.path("config.yaml"), "--in", self.path("in.pcap"), "--port", "dmz"]
        self.assert_error(1, "no such port, only: wan, lan", *command)

    def test_text_report(self):
        capture.write(self.path("in.pcap"), self.frames)
        text = self.replay()
        self.assertIn("forwarded  vip=www backend=web/web-1 rung=scheduler\n", text)
        self.assertIn("punted     class=control\n", text)
        self.assertIn("every packet has one fate: 3 came in, 3 are accounted for\n", text)
        self.assertNotIn("rung=", self.replay("--totals"))

    def test_time_that_goes_back_is_no_error(self):
        stamps = [5, 5, 3, 100, 4]
        frames = [(START_NS + s * 10**9, self.frames[0][1]) for s in stamps]
        capture.write(self.path("in.pcap"), frames)
        report = json.loads(self.replay("--json"))
        # The half-open flow's 30 s are over at the frame of second 100, and the clock stays there.
        rungs = [p["rung"] for p in report["packets"]]
        self.assertEqual(rungs, ["scheduler"] + ["connection_table"] * 2 + ["scheduler", "connection_table"])

    def test_bursts_of_known_connections_have_records(self):
        """Of which workers make none."""
        case = kit.Case("known")
        case.pool("web", {"web-1": "192.0.2.11"})
        case.vip("www", kit.VIP_V4, "tcp", 80, "web", "ipip")
        self.write_config(case)
        ip = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4)
        packets = [ip / TCP(sport=port, dport=80, flags=flags) for flags in "SAA" for port in range(1000, 1064)]
        capture.write(self.path("in.pcap"), [(START_NS, bytes(kit.ether_in() / packet)) for packet in packets])
        report = json.loads(self.replay("--json"))
        told = [(p["fate"], p["vip"], p["backend"], p["rung"]) for p in report["packets"]]
        rungs = ["scheduler"] * 64 + ["connection_table"] * 128
        self.assertEqual(told, [("forwarded", "www", "web/web-1", rung) for rung in rungs])
        self.assertEqual(len(capture.read(self.path("out.pcap"))), len(packets))

    def test_an_empty_capture(self):
        capture.write(self.path("in.pcap"), [])
        report = json.loads(self.replay("--json"))
        self.assertEqual((report["packets"], report["balanced"]), ([], True))
        self.assertEqual(capture.read(self.path("out.pcap")), [])

    def test_wrong_usage(self):
        for arguments, error in (
            ([], "--config is missing"),
            (["--config", "x"], "--in is missing"),
            (["--config", "x", "--in", "y", "z"], '"z" is not an option'),
            (["--wrong"], "unrecognized option"),
        ):
            with self.subTest(arguments=arguments):
                self.assert_error(2, error, *arguments)
        self.assertEqual(self.run_replay("--help").returncode, 0)

    def test_broken_inputs(self):
        config = ["--config", self.path("config.yaml")]
        self.assert_error(1, "in.pcap: cannot be read", *config, "--in", self.path("in.pcap"))
        (self.folder / "in.pcap").write_bytes(b"not a capture at all, but long enough")
        self.assert_error(1, "cannot be read as pcap or pcapng", *config, "--in", self.path("in.pcap"))
        capture.write(self.path("in.pcap"), self.frames)
        good = (self.folder / "in.pcap").read_bytes()
        (self.folder / "in.pcap").write_bytes(good[:-5])
        self.assert_error(1, "broken after frame 2", *config, "--in", self.path("in.pcap"))
        (self.folder / "in.pcap").write_bytes(good[:20] + struct.pack("<I", 113) + good[24:])
        self.assert_error(1, "link type LINUX_SLL", *config, "--in", self.path("in.pcap"))
        self.assert_error(1, "missing.yaml", "--config", self.path("missing.yaml"), "--in", self.path("in.pcap"))

    def test_wrong_mac(self):
        capture.write(self.path("in.pcap"), self.frames)
        for mac in ("x", "01:00:00:00:00:01"):
            command = ["--config", self.path("config.yaml"), "--in", self.path("in.pcap"), "--mac", mac]
            self.assert_error(1, f"--mac {mac}", *command)

    def test_output_that_cannot_be_written(self):
        capture.write(self.path("in.pcap"), self.frames)
        command = ["--config", self.path("config.yaml"), "--in", self.path("in.pcap"), "--out"]
        self.assert_error(1, "cannot write", *command, self.path("missing/out.pcap"))
        self.assert_error(1, "writing failed", *command, "/dev/full")


if __name__ == "__main__":
    if REPLAY is None:
        sys.exit(__doc__)
    unittest.main()
