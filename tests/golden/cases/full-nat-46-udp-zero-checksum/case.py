"""IPv6 demands a UDP checksum (RFC 8200, section 8.1): an IPv4 datagram without one gets it on the way to an IPv6
backend, over lengths odd and even."""

import nat


def build(case):
    nat.use_full_nat(case)
    case.pool("web", {"web-1": nat.BACKENDS[6]})
    case.vip("www", nat.VIPS[4], "udp", 53, "web", "full-nat")
    flow = nat.MixedFlow(case, "www", 4, "udp", 53, full=True, inside=6)
    for number, length in enumerate((0, 1, 2, 511, 1200)):
        packet = flow.packet(b"q" * length, {"chksum": 0})
        flow.sends(packet, "connection_table" if number else "scheduler")
