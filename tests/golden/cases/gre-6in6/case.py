"""GRE without checksum (RFC 2784, over IPv6 RFC 7676), IPv6 in IPv6: every byte of the outer headers. The inner
packet is not touched."""

import tunnel


def build(case):
    tunnel.build(case, "gre", 6, 6)
