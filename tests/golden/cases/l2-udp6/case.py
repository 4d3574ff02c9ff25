"""L2, IPv6, UDP, also with the zero checksum that RFC 6935 allows in tunnels."""

import kit
from scapy.all import IPv6, UDP, Raw


def build(case):
    case.pool("quic", {"quic-1": "2001:db8::31"})
    case.vip("quic", kit.VIP_V6, "udp", 443, "quic", "l2")
    for port, checksum in ((6000, None), (6001, 0)):
        udp = UDP(sport=port, dport=443, chksum=checksum)
        packet = IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6) / udp / Raw(b"x" * 1200)
        case.send(kit.ether_in() / packet).forwarded(kit.ether_out("2001:db8::31") / packet, "quic", "quic/quic-1")
        case.send(kit.ether_in() / packet).forwarded(
            kit.ether_out("2001:db8::31") / packet, "quic", "quic/quic-1", "connection_table"
        )
