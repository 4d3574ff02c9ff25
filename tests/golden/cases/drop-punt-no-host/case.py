"""A port without an exception port: what is meant for the host has nowhere to go; VIPs are served all the same."""

import kit
from scapy.all import ARP, ICMP, TCP, Ether, ICMPv6EchoRequest


def build(case):
    case.port["exception"] = {"enabled": False}
    broadcast = Ether(src=kit.ROUTER_MAC, dst="ff:ff:ff:ff:ff:ff")
    case.send(broadcast / ARP(psrc="192.0.2.1", pdst=kit.DIRECTOR_V4)).dropped("punt_no_host")
    for family in (4, 6):
        case.pool(f"web{family}", {"web-1": kit.BACKENDS[family]})
        case.vip(f"www{family}", kit.VIPS[family], "tcp", 80, f"web{family}", "l2")
        for l4 in (ICMP() if family == 4 else ICMPv6EchoRequest(), TCP(dport=22)):
            packet = kit.ip_in(family, dst=kit.DIRECTORS[family]) / l4
            case.send(kit.ether_in() / packet).dropped("punt_no_host")
        packet = kit.ip_in(family) / TCP(dport=80)
        out = kit.ether_out(kit.BACKENDS[family]) / packet
        case.send(kit.ether_in() / packet).forwarded(out, f"www{family}", f"web{family}/web-1")
