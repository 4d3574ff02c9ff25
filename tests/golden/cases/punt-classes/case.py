"""The other classes of what is the host's: its management ports, ICMP, and the rest, among which is neighbour discovery
that came through a router (forged, by RFC 4861)."""

import kit
from scapy.all import ICMP, IP, TCP, UDP, Dot1Q, Ether, ICMPv6EchoRequest, ICMPv6ND_NS, IPv6, Raw


def build(case):
    case.node["punt"] = {"management_ports": [22, 8443]}
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    v4 = kit.ether_in() / IP(src=kit.CLIENT_V4, dst=kit.DIRECTOR_V4)
    v6 = kit.ether_in() / IPv6(src=kit.CLIENT_V6, dst=kit.DIRECTOR_V6)
    for frame in (v4 / TCP(dport=22), v6 / TCP(dport=22), v4 / UDP(dport=8443), v4 / TCP(dport=8443) / b"x"):
        case.send(frame).punted("management")
    for frame in (
        v4 / ICMP() / b"ping",
        v6 / ICMPv6EchoRequest(),
        kit.ether_in() / IPv6(src="fe80::1", dst=kit.DIRECTOR_V6, hlim=254) / ICMPv6ND_NS(tgt=kit.DIRECTOR_V6),
    ):
        case.send(frame).punted("icmp")
    group = Ether(src=kit.ROUTER_MAC, dst="ff:ff:ff:ff:ff:ff")
    for frame in (
        v4 / TCP(dport=80),
        v4 / TCP(sport=22, dport=80),
        v6 / UDP(dport=33434),
        kit.ether_in() / IP(src=kit.CLIENT_V4, dst="10.77.0.1") / TCP(dport=80),
        kit.ether_in() / Dot1Q(vlan=9) / IP(src=kit.CLIENT_V4, dst=kit.DIRECTOR_V4) / UDP(dport=5353),
        v4 / Raw(b"a protocol of its own"),
        kit.ether_in(type=0x8847) / Raw(b"MPLS and more"),
        group / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) / Raw(bytes(240)),
        # A VIP is unicast; a frame to all is not served.
        group / IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(dport=80),
    ):
        case.send(frame).punted("other")
