#!/usr/bin/python3
"""What a server's kernel takes for the round-trip time of a connection on a slow path: with cookies the same as
without, to a tick. Each of the ways in which it measures, of which two go by the timestamps that the agent restores."""

import os
import re
import socket
import subprocess
import unittest

import lab_case  # noqa: F401, makes `lab` importable
from test_cookies import LAYOUT, VIP, CookieCase
from lab.clients import tools
from lab.network import CLIENT, DIRECTOR
from lab.process import wait_until

DELAY_MS, LATE_MS = 150, 600
REQUESTS = 12
UPLOAD_BYTES = 300_000


class RoundTripTest(CookieCase):
    def setUp(self):
        # Answers do not come by the interface that packets to the VIP go into.
        self.client.sysctl(net__ipv4__conf__all__rp_filter=0, net__ipv4__conf__eth0__rp_filter=0)
        script = os.path.join(os.path.dirname(tools.__file__), "slow_path.py")
        self.slow = self.client.start("slow", ["/usr/bin/python3", script, DIRECTOR.mac, *VIP.values()],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def delay(self, milliseconds):
        self.slow.popen.stdin.write(f"{milliseconds}\n".encode())
        self.slow.popen.stdin.flush()
        self.assertEqual(self.slow.popen.stdout.readline(), b"ok\n", self.slow.log())

    def connect(self, version):
        made = self.client.socket(socket.AF_INET if version == 4 else socket.AF_INET6)
        self.addCleanup(made.close)
        made.settimeout(30)
        made.bind((CLIENT.address(version), 0))
        made.connect((VIP[version], 80))
        return made

    @staticmethod
    def request(connection, data=b""):
        head = f"PUT /upload/rtt HTTP/1.1\r\nContent-Length: {len(data)}\r\n" if data else "GET / HTTP/1.1\r\n"
        connection.sendall(head.encode() + b"Host: vip\r\n\r\n" + data)
        answer = connection.recv(65536)
        if not answer.startswith(b"HTTP/1.1 20"):
            raise AssertionError(answer)

    def seen(self, connection):
        """What the backend's kernel says of the connection; see ss(8)."""
        shown = self.backend.run(["ss", "-Htin", "sport", "=", ":80", "and", "dport", "=",
                                  f":{connection.getsockname()[1]}"]).stdout
        return dict(re.findall(r"\b([a-z]\w*):([0-9.]+)", shown))

    def measured(self, version):
        """Milliseconds, by how the kernel came to them."""
        self.delay(DELAY_MS)
        connection = self.connect(version)
        for _ in range(REQUESTS):
            self.request(connection)
        smoothed = float(self.seen(connection)["rtt"])
        # The acknowledgement of an answer is on its way when the path becomes slower, so the answer is sent twice. Then
        # only its timestamp tells which was acknowledged (RFC 7323, section 4.1). The new smoothed time is an eighth of
        # that sample and seven of the old one.
        self.request(connection)
        self.delay(LATE_MS)
        before = float(self.seen(connection)["rtt"])
        wait_until(lambda: "bytes_retrans" in (now := self.seen(connection)) and "unacked" not in now, 30,
                   "an answer was sent twice and acknowledged")
        repeated = 8 * float(self.seen(connection)["rtt"]) - 7 * before
        self.delay(DELAY_MS)
        self.request(connection, bytes(UPLOAD_BYTES))
        return {"acknowledged once": smoothed, "sent twice": repeated,
                "received": float(self.seen(connection)["rcv_rtt"])}

    def least(self, version):
        """Of two connections, since a machine that is busy only makes times longer."""
        first, second = self.measured(version), self.measured(version)
        return {how: min(time, second[how]) for how, time in first.items()}

    def test_times_are_true_to_a_tick(self):
        self.use_cookies(LAYOUT)
        counted = self.counters()
        with_cookies = {version: self.least(version) for version in VIP}
        self.assertEqual(self.counters()["cookies_made"] - counted["cookies_made"], 2 * len(VIP))
        self.assertGreater(self.counters()["cookie_echoes"] - counted["cookie_echoes"], 100)
        self.lab.backends.agents.pop("backend-1").stop()
        self.lab.backends.start_agent("backend-1")
        for version, times in with_cookies.items():
            tick_ms = 1 << LAYOUT[version].clock
            without = self.least(version)
            print(f"IPv{version}, a tick of {tick_ms} ms: {times} with cookies, {without} without", flush=True)
            for how, time in times.items():
                self.assertLessEqual(abs(time - without[how]), tick_ms, how)


if __name__ == "__main__":
    unittest.main()
