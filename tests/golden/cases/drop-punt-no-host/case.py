"""A port without an exception port: what is meant for the host has nowhere to go; VIPs are served all the same."""

import kit
from scapy.all import ARP, ICMP, IP, TCP, Ether


def build(case):
    case.port["exception"] = {"enabled": False}
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    broadcast = Ether(src=kit.ROUTER_MAC, dst="ff:ff:ff:ff:ff:ff")
    case.send(broadcast / ARP(psrc="192.0.2.1", pdst=kit.DIRECTOR_V4)).dropped("punt_no_host")
    case.send(kit.ether_in() / IP(src=kit.CLIENT_V4, dst=kit.DIRECTOR_V4) / ICMP()).dropped("punt_no_host")
    case.send(kit.ether_in() / IP(src=kit.CLIENT_V4, dst=kit.DIRECTOR_V4) / TCP(dport=22)).dropped("punt_no_host")
    packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(dport=80)
    case.send(kit.ether_in() / packet).forwarded(kit.ether_out("192.0.2.11") / packet, "www", "web/web-1")
