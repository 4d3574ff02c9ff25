"""A frame for the host that is longer than a buffer arrives there whole."""

import kit
from scapy.all import IP, UDP, Raw


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    for size in (2006, 2007, 4096, 9000, 60000):
        data = bytes(i * 7 & 0xFF for i in range(size))
        packet = IP(src=kit.CLIENT_V4, dst=kit.DIRECTOR_V4) / UDP(dport=9) / Raw(data)
        case.send(kit.ether_in() / packet).punted("other")
