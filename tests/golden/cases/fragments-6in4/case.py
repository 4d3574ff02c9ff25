"""Fragmented IPv6 packets in tunnels over IPv4, each fragment in one of its own."""

import fragments


def build(case):
    fragments.build(case, 6, fragments.MODES[1:], outer=4)
