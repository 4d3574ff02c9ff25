"""IPv6 extension headers before TCP: the walk finds the ports behind hop-by-hop options, routing, destination options
and authentication headers, eight of them at most."""

import kit
from scapy.all import TCP, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN, Raw

# RFC 4302, by hand: next header TCP, length 4 + 2 words of 4 bytes, SPI, sequence, 12 bytes of check value.
AUTHENTICATION = bytes([6, 4, 0, 0]) + b"spi!" + b"seq!" + bytes(12)
DESTINATION = IPv6ExtHdrDestOpt()

CHAINS = [
    IPv6ExtHdrHopByHop(),
    IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(100))]) / IPv6ExtHdrDestOpt(),
    IPv6ExtHdrRouting(addresses=["2001:db8::9"], segleft=0),
    Raw(AUTHENTICATION),
    IPv6ExtHdrHopByHop() / DESTINATION / IPv6ExtHdrRouting(segleft=0, nh=51) / Raw(AUTHENTICATION),
    DESTINATION / DESTINATION / DESTINATION / DESTINATION / DESTINATION / DESTINATION / DESTINATION / DESTINATION,
]


def packet_with(chain, port):
    addresses = {"src": kit.CLIENT_V6, "dst": kit.VIP_V6}
    # The checksum's pseudo header is the same whatever stands between the IPv6 header and TCP.
    tcp = bytes(IPv6(**addresses) / TCP(sport=port, dport=80, flags="S"))[40:]
    if isinstance(chain, Raw):
        return IPv6(**addresses, nh=51) / chain / Raw(tcp)
    if chain.lastlayer().name != "Raw":
        chain = chain.copy()
        chain.lastlayer().nh = 6
    return IPv6(**addresses) / chain / Raw(tcp)


def build(case):
    case.pool("web", {"web-1": "2001:db8::11"})
    case.vip("www", kit.VIP_V6, "tcp", 80, "web", "l2")
    for port, chain in enumerate(CHAINS, 3000):
        packet = packet_with(chain, port)
        for rung in ("scheduler", "connection_table"):
            case.send(kit.ether_in() / packet).forwarded(
                kit.ether_out("2001:db8::11") / packet, "www", "web/web-1", rung
            )
