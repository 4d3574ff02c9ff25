"""IPv4 options, up to the longest header: the ports are found behind them. In a tunnel they stay with the
inner packet."""

import kit
from scapy.all import IP, TCP, IPOption, Raw

OPTIONS = {
    "nop": b"\x01\x01\x01\x01",
    "router-alert": b"\x94\x04\x00\x00",
    "timestamp": b"\x44\x0c\x05\x00" + bytes(8),
    "longest": b"\x07\x27\x04" + bytes(36) + b"\x00",
}


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    case.vip("tunnelled", kit.VIP_V4, "tcp", 81, "web", "ipip")
    for number, option in enumerate(OPTIONS.values()):
        for port in (80, 81):
            packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4, options=[IPOption(option)])
            packet /= TCP(sport=2000 + number, dport=port, flags="S") / Raw(b"x" * number)
            out = packet
            if port == 81:
                out = IP(src=kit.DIRECTOR_V4, dst="192.0.2.11", ttl=64, flags="DF", id=0, proto=4) / packet
            case.send(kit.ether_in() / packet).forwarded(
                kit.ether_out("192.0.2.11") / out, "www" if port == 80 else "tunnelled", "web/web-1"
            )
