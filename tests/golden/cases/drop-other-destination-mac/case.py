"""Unicast frames to another station are not ours, even if they hold a packet for a VIP or for the host: a switch floods
such frames, and forwarding them would double them."""

import kit
from scapy.all import ARP, TCP, Ether


def build(case):
    header = Ether(src=kit.ROUTER_MAC, dst="02:00:00:00:99:99")
    for family in (4, 6):
        case.pool(f"web{family}", {"web-1": kit.BACKENDS[family]})
        case.vip(f"www{family}", kit.VIPS[family], "tcp", 80, f"web{family}", "l2")
        to_host = kit.ip_in(family, dst=kit.DIRECTORS[family]) / TCP(dport=22)
        for packet in (kit.ip_in(family) / TCP(dport=80), to_host):
            case.send(header / packet).dropped("other_destination_mac")
    case.send(header / ARP(op="is-at", psrc="192.0.2.1", pdst="192.0.2.9")).dropped("other_destination_mac")
