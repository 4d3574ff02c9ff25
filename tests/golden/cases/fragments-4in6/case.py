"""Fragmented IPv4 packets in tunnels over IPv6, each fragment in one of its own."""

import fragments


def build(case):
    fragments.build(case, 4, fragments.MODES[1:], outer=6)
