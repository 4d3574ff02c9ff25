#!/usr/bin/python3
"""Connections that idle: across the window of fifteen bits without low clock bits, which is 65.5 seconds, a layout that
is made for it goes on at once, and that one stalls."""

import socket
import time
import unittest

import lab_case  # pylint: disable=unused-import  (finds the lab)
from test_cookies import CookieCase, cookie, kernel_counter
from lab.network import VIP4, VIP6

IDLE_S = 75
CONNECTIONS = 10
GOOD = cookie.Layout(key=1, tier=0, backend=11, check=2, clock=6)
NAIVE = cookie.Layout(key=1, tier=0, backend=14, check=0, clock=0)


class IdleTest(CookieCase):
    def connect(self, family, vip):
        made = self.client.socket(family)
        self.addCleanup(made.close)
        made.settimeout(3)
        made.connect((vip, 80))
        self.assertTrue(self.answers(made))
        return made

    @staticmethod
    def answers(connection):
        """Whether a request gets its answer within three seconds."""
        connection.sendall(b"GET / HTTP/1.1\r\nHost: vip\r\n\r\n")
        try:
            return connection.recv(4096).startswith(b"HTTP/1.1 200")
        except TimeoutError:
            return False

    def test_idle_connections(self):
        self.use_cookies({4: GOOD, 6: NAIVE}, idle_s=60)
        good = [self.connect(socket.AF_INET, VIP4) for _ in range(CONNECTIONS)]
        naive = [self.connect(socket.AF_INET6, VIP6) for _ in range(CONNECTIONS)]
        time.sleep(IDLE_S)  # the time is what is tested
        self.assertEqual([self.answers(each) for each in good], [True] * CONNECTIONS)
        self.assertEqual(kernel_counter(self.client, "TcpExtPAWSEstab"), 0)
        self.assertFalse(self.answers(naive[0]))
        self.assertGreater(kernel_counter(self.client, "TcpExtPAWSEstab"), 0)


if __name__ == "__main__":
    unittest.main()
