"""IPIP, IPv4 in IPv6 (RFC 2473): next header 4 and the inner TOS; the inner packet is not touched."""

import tunnel


def build(case):
    tunnel.build(case, "ipip", 4, 6)
