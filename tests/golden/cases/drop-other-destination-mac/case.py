"""Unicast frames to another station are not ours, even if they hold a packet for a VIP or for the host: a switch floods
such frames, and forwarding them would double them."""

import kit
from scapy.all import ARP, IP, TCP, Ether


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    header = Ether(src=kit.ROUTER_MAC, dst="02:00:00:00:99:99")
    case.send(header / IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(dport=80)).dropped("other_destination_mac")
    case.send(header / IP(src=kit.CLIENT_V4, dst=kit.DIRECTOR_V4) / TCP(dport=22)).dropped("other_destination_mac")
    case.send(header / ARP(op="is-at", psrc="192.0.2.1", pdst="192.0.2.9")).dropped("other_destination_mac")
