"""What keeps the machine on its network goes to the host's kernel first, unchanged: ARP, neighbour discovery with the
hop limit that proves it local, BGP, BFD, OSPF, VRRP, LACP, LLDP. VLAN tags stay."""

import kit
from scapy.all import ARP, IP, TCP, UDP, Dot1Q, Ether, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_RS, IPv6, Raw


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    broadcast = Ether(src=kit.ROUTER_MAC, dst="ff:ff:ff:ff:ff:ff")
    group = Ether(src=kit.ROUTER_MAC, dst="33:33:00:00:00:01")
    frames = [
        broadcast / ARP(psrc="192.0.2.1", pdst=kit.DIRECTOR_V4),
        kit.ether_in() / ARP(op="is-at", psrc="192.0.2.1", pdst=kit.DIRECTOR_V4),
        kit.ether_in() / Dot1Q(vlan=5) / ARP(op="is-at", psrc="192.0.2.1", pdst=kit.DIRECTOR_V4),
        broadcast / ARP(psrc="192.0.2.1", pdst=kit.VIP_V4),
        group / IPv6(src="fe80::1", dst="ff02::1:ff00:2", hlim=255) / ICMPv6ND_NS(tgt=kit.DIRECTOR_V6),
        kit.ether_in() / IPv6(src="fe80::1", dst=kit.DIRECTOR_V6, hlim=255) / ICMPv6ND_NA(tgt="fe80::1"),
        group / IPv6(src="fe80::1", dst="ff02::1", hlim=255) / ICMPv6ND_RA(),
        group / IPv6(src="fe80::1", dst="ff02::2", hlim=255) / ICMPv6ND_RS(),
        kit.ether_in() / IP(src="192.0.2.1", dst=kit.DIRECTOR_V4, ttl=255) / TCP(sport=3333, dport=179),
        kit.ether_in() / IP(src="192.0.2.1", dst=kit.DIRECTOR_V4, ttl=255) / TCP(sport=179, dport=3333),
        kit.ether_in() / IPv6(src="2001:db8::1", dst=kit.DIRECTOR_V6, hlim=255) / TCP(dport=179),
        kit.ether_in() / IP(src="192.0.2.1", dst=kit.DIRECTOR_V4, ttl=255) / UDP(dport=3784) / Raw(bytes(24)),
        kit.ether_in() / IPv6(src="2001:db8::1", dst=kit.DIRECTOR_V6, hlim=255) / UDP(dport=3784) / Raw(bytes(24)),
        kit.ether_in() / IP(src="192.0.2.1", dst=kit.DIRECTOR_V4, ttl=255) / UDP(dport=4784) / Raw(bytes(24)),
        Ether(src=kit.ROUTER_MAC, dst="01:00:5e:00:00:12") / IP(src="192.0.2.1", dst="224.0.0.18", proto=112, ttl=255),
        Ether(src=kit.ROUTER_MAC, dst="01:80:c2:00:00:02", type=0x8809) / Raw(bytes(110)),
        Ether(src=kit.ROUTER_MAC, dst="01:80:c2:00:00:0e", type=0x88CC) / Raw(bytes(46)),
    ]
    for frame in frames:
        case.send(frame).punted("control")
    # The same protocols when nothing shows that they were sent on the link: anyone could flood these.
    for frame in (
        kit.ether_in() / IP(src="192.0.2.1", dst=kit.DIRECTOR_V4, ttl=1) / TCP(sport=3333, dport=179),
        kit.ether_in() / IPv6(src="2001:db8::1", dst=kit.DIRECTOR_V6, hlim=64) / TCP(sport=179),
        kit.ether_in() / IP(src="198.18.0.1", dst=kit.DIRECTOR_V4, ttl=60) / UDP(dport=4784) / Raw(bytes(24)),
        kit.ether_in() / IP(src="198.18.0.1", dst=kit.DIRECTOR_V4, ttl=254) / UDP(dport=3784) / Raw(bytes(24)),
        kit.ether_in() / IP(src="192.0.2.1", dst=kit.DIRECTOR_V4, ttl=1, proto=89) / Raw(bytes(24)),
    ):
        case.send(frame).punted("routing")
