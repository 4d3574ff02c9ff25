"""Fragmented IPv6 packets to VIPs of every mode that leaves them as they are: in order, and with fragments that come
before the first one and wait for it; each goes to the backend that the first one's ports choose, in a tunnel of its
own."""

import fragments


def build(case):
    fragments.build(case, 6)
