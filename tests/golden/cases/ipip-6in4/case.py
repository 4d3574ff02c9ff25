"""IPIP, IPv6 in IPv4 (RFC 4213): protocol 41 and the inner traffic class; the inner packet is not touched."""

import tunnel


def build(case):
    tunnel.build(case, "ipip", 6, 4)
