#!/usr/bin/python3
"""sluice-replay on captures that operators' tools made of real traffic: tcpdump and Wireshark's dumpcap, editcap,
mergecap and text2pcap. What it says is compared with tshark's reading of the same file and with what sluiced itself
counted."""

import collections
import json
import os
import signal
import struct
import subprocess
import unittest

from lab_case import LabCase
from lab import config
from lab.clients.tools import http_load
from lab.network import DIRECTOR, INTERFACE
from lab.process import run, wait_until

REQUESTS = 50


class CapturesTest(LabCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = os.path.join(cls.lab.run.directory, "captures")
        os.mkdir(cls.folder)

    def setUp(self):
        self.services = config.services({1: 100, 2: 100, 3: 200}, udp=False)
        self.start(self.services)

    def path(self, name):
        return os.path.join(self.folder, name)

    def record(self):
        """Requests over both families while tcpdump and dumpcap listen on the director's interface; returns the
        packets that each backend got of sluiced."""
        started = []
        for name, command, ready in (
                ("tcpdump", ["tcpdump", "-i", INTERFACE, "-Q", "in", "--immediate-mode",
                             "--time-stamp-precision", "nano", "-w", self.path("tcpdump.pcap")], "listening on"),
                ("tcpdump-96", ["tcpdump", "-i", INTERFACE, "-Q", "in", "--immediate-mode", "-s", "96",
                                "-w", self.path("cut.pcap")], "listening on"),
                ("dumpcap", ["dumpcap", "-q", "-i", INTERFACE, "-w", self.path("dumpcap.pcapng")], "File: ")):
            process = self.director.namespace.start(name, command)
            wait_until(lambda process=process, ready=ready: ready in process.log(), 10, f"{name} listens")
            started.append(process)
        for version in (4, 6):
            self.assert_all_answered(http_load(self.client, config.VIP[version], REQUESTS))
        self.director.totals_at_rest()
        for process in started:
            process.send_signal(signal.SIGINT)
            process.wait(10)
        return {f"{pool}/{name}": int(status.get("packets", 0)) for pool in config.POOL.values()
                for name, status in self.director.backends(pool).items()}

    def print_packets(self, capture, text):
        """Writes a capture in nanoseconds as times and bytes in hexadecimal."""
        with open(self.path(capture), "rb") as file, open(self.path(text), "w", encoding="ascii") as out:
            self.assertEqual(file.read(24)[:4], struct.pack("<I", 0xA1B23C4D))
            while header := file.read(16):
                seconds, nanoseconds, size, _ = struct.unpack("<IIII", header)
                out.write(f"{seconds}.{nanoseconds:09}\n000000 {file.read(size).hex(' ')}\n\n")

    def replay(self, name):
        """Replays a capture; returns the report's totals, packets for each backend, and the file of what leaves."""
        out = self.path(f"{name}.out")
        done = run([self.director.binary("sluice-replay"), "--config", self.director.config_path, "--in",
                    self.path(name), "--out", out, "--json"])
        report = json.loads(done.stdout)
        backends = {key: value["packets"] for key, value in report["backends"].items()}
        return report, backends, out

    def dissect(self, path, display_filter, *fields):
        """What Wireshark reads in a file: a tuple of fields for each packet that the filter lets through."""
        command = ["tshark", "-r", path, "-Y", display_filter, "-T", "fields", "-E", "separator=|"]
        for field in fields:
            command += ["-e", field]
        return [tuple(line.split("|")) for line in run(command).stdout.splitlines()]

    def requests(self, path):
        """Time, source and destination port of all packets that clients sent to a VIP."""
        to_vip = f"tcp.dstport == 80 and eth.dst == {DIRECTOR.mac}"
        return self.dissect(path, to_vip, "frame.time_epoch", "tcp.srcport", "tcp.flags")

    def test_captures_of_real_traffic(self):
        by_sluiced = self.record()
        self.assertGreater(sum(by_sluiced.values()), 2 * REQUESTS)
        run(["editcap", "-F", "nsecpcap", self.path("dumpcap.pcapng"), self.path("editcap.pcap")])
        run(["editcap", "-F", "pcap", self.path("dumpcap.pcapng"), self.path("microseconds.pcap")])
        run(["mergecap", "-w", self.path("merged.pcapng"), self.path("dumpcap.pcapng")])
        self.print_packets("editcap.pcap", "packets.txt")
        run(["text2pcap", "-q", "-t", "%s.%f", self.path("packets.txt"), self.path("text.pcapng")])
        for name in ("tcpdump.pcap", "cut.pcap", "dumpcap.pcapng", "editcap.pcap", "microseconds.pcap",
                     "merged.pcapng", "text.pcapng"):
            with self.subTest(capture=name):
                report, by_replay, out = self.replay(name)
                requests = self.requests(self.path(name))
                self.assertEqual(report["totals"]["forwarded"], len(requests))
                # The same seed and the same backends: each connection goes where sluiced sent it.
                self.assertEqual(by_replay, by_sluiced)
                left = self.dissect(out, "tcp.dstport == 80", "frame.time_epoch", "tcp.srcport", "tcp.flags")
                self.assertEqual(left, requests, "order, time stamps to the nanosecond, and headers")
                if name != "cut.pcap":
                    self.assertEqual(self.dissect(out, "_ws.malformed or tcp.checksum.status == Bad", "frame.number"),
                                     [])

    def test_standard_input_and_a_capture_of_several_interfaces(self):
        """tcpdump | sluice-replay, and what mergecap makes of captures of two interfaces."""
        self.record()
        run(["editcap", "-F", "pcapng", self.path("tcpdump.pcap"), self.path("other.pcapng")])
        run(["mergecap", "-I", "none", "-w", self.path("two.pcapng"), self.path("dumpcap.pcapng"),
             self.path("other.pcapng")])
        report, _, _ = self.replay("two.pcapng")
        self.assertEqual(report["totals"]["forwarded"], len(self.requests(self.path("two.pcapng"))))
        command = [self.director.binary("sluice-replay"), "--config", self.director.config_path, "--in", "-", "--mac",
                   str(DIRECTOR.mac), "--json"]
        with open(self.path("tcpdump.pcap"), "rb") as file:
            done = subprocess.run(command, stdin=file, capture_output=True, timeout=30, check=True)
        fates = collections.Counter(packet["fate"] for packet in json.loads(done.stdout)["packets"])
        self.assertEqual(fates["forwarded"], len(self.requests(self.path("tcpdump.pcap"))))


if __name__ == "__main__":
    unittest.main()
