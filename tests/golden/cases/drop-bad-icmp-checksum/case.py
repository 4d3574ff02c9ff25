"""An echo request whose checksum is wrong gets no reply, which would make it look right; in both families, of odd and
even length, and in a frame with padding."""

import kit
from scapy.all import ICMP, IP, ICMPv6EchoRequest, IPv6, Raw


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("web", kit.VIP_V4, "tcp", 80, "web", "l2")
    case.pool("web6", {"web-1": "2001:db8::11"})
    case.vip("web6", kit.VIP_V6, "tcp", 80, "web6", "l2")
    for length in (0, 1, 56, 1001):
        for header, at in (
            (IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / ICMP(id=1, seq=length), 20),
            (IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6) / ICMPv6EchoRequest(id=1, seq=length), 40),
        ):
            packet = bytearray(bytes(header / Raw(b"e" * length)))
            for broken in (at + 2, at + 5, len(packet) - 1):
                wrong = bytearray(packet)
                wrong[broken] ^= 0x10
                case.send(bytes(kit.ether_in(type=0x0800 if at == 20 else 0x86DD)) + bytes(wrong)).dropped(
                    "bad_icmp_checksum"
                )
