"""Sources that no client can have, on the way to a VIP; such packets for the host are the host's to judge."""

import kit
from scapy.all import IP, TCP, UDP, IPv6

SOURCES_V4 = ["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1"]
SOURCES_V4 += ["255.255.255.255", kit.VIP_V4]
SOURCES_V6 = ["::", "::1", "ff02::1", "ff0e::1234", kit.VIP_V6]


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("tcp", kit.VIP_V4, "tcp", 80, "web", "l2")
    case.vip("udp", kit.VIP_V4, "udp", 80, "web", "ipip")
    case.pool("web6", {"web-1": "2001:db8::11"})
    case.vip("tcp6", kit.VIP_V6, "tcp", 80, "web6", "l2")
    for source in SOURCES_V4:
        case.send(kit.ether_in() / IP(src=source, dst=kit.VIP_V4) / TCP(dport=80)).dropped("martian_source", "tcp")
        case.send(kit.ether_in() / IP(src=source, dst=kit.VIP_V4) / UDP(dport=80)).dropped("martian_source", "udp")
    for source in SOURCES_V6:
        case.send(kit.ether_in() / IPv6(src=source, dst=kit.VIP_V6) / TCP(dport=80)).dropped("martian_source", "tcp6")
    case.send(kit.ether_in() / IP(src="127.0.0.1", dst=kit.DIRECTOR_V4) / TCP(dport=8080)).punted("other")
    # The neighbours of those ranges are clients.
    for source in ("1.0.0.0", "126.255.255.255", "128.0.0.0", "223.255.255.255"):
        packet = IP(src=source, dst=kit.VIP_V4) / TCP(dport=80)
        case.send(kit.ether_in() / packet).forwarded(kit.ether_out("192.0.2.11") / packet, "tcp", "web/web-1")
