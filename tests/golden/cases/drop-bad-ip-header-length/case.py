"""An IPv4 header length below 20 bytes, or longer than the whole packet says to be."""

import kit
from scapy.all import IP, TCP


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    for words in (0, 1, 4):
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4, ihl=words, len=40) / TCP(dport=80)
        case.send(kit.ether_in() / packet).dropped("bad_ip_header_length")
    packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4, ihl=15, len=40) / TCP(dport=80)
    case.send(bytes(kit.ether_in() / packet) + bytes(60)).dropped("bad_ip_header_length")
    packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4, len=19) / TCP(dport=80)
    case.send(kit.ether_in() / packet).dropped("bad_ip_header_length")
