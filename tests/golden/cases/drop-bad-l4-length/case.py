"""TCP and UDP headers that do not fit the IP packet or their own length fields, addressed to a VIP."""

import kit
from scapy.all import IP, TCP, UDP, IPv6, Raw


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("tcp", kit.VIP_V4, "tcp", 80, "web", "l2")
    case.vip("udp", kit.VIP_V4, "udp", 80, "web", "l2")
    case.pool("web6", {"web-1": "2001:db8::11"})
    case.vip("tcp6", kit.VIP_V6, "tcp", 80, "web6", "l2")
    case.vip("udp6", kit.VIP_V6, "udp", 80, "web6", "l2")
    v4 = {"src": kit.CLIENT_V4, "dst": kit.VIP_V4}
    v6 = {"src": kit.CLIENT_V6, "dst": kit.VIP_V6}
    payloads = [
        (6, bytes(TCP(dport=80))[:19]),
        (6, b""),
        (6, bytes(TCP(dport=80, dataofs=4))),
        (6, bytes(TCP(dport=80, dataofs=0))),
        (6, bytes(TCP(dport=80, dataofs=6))),
        (6, bytes(TCP(dport=80, dataofs=15)) + bytes(39)),
        (17, bytes(UDP(dport=80))[:7]),
        (17, b""),
        (17, bytes(UDP(dport=80, len=7))),
        (17, bytes(UDP(dport=80, len=0))),
        (17, bytes(UDP(dport=80, len=9))),
        (17, bytes(UDP(dport=80, len=65535)) + bytes(100)),
    ]
    for protocol, payload in payloads:
        case.send(kit.ether_in() / IP(**v4, proto=protocol) / Raw(payload)).dropped("bad_l4_length")
        case.send(kit.ether_in() / IPv6(**v6, nh=protocol) / Raw(payload)).dropped("bad_l4_length")
    # Padding of the frame does not make a short packet longer.
    frame = bytes(kit.ether_in() / IP(**v4, proto=6) / Raw(bytes(TCP(dport=80))[:12])) + bytes(30)
    case.send(frame).dropped("bad_l4_length")
