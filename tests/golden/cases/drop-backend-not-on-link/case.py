"""L2 mode reaches backends of the port's own networks only: behind a gateway the VIP would not be theirs."""

import kit
from scapy.all import IP, TCP, IPv6


def build(case):
    case.pool("far4", {"far": "10.0.0.1"})
    case.pool("far6", {"far": "2001:db8:77::1"})
    case.vip("www4", kit.VIP_V4, "tcp", 80, "far4", "l2")
    case.vip("www6", kit.VIP_V6, "tcp", 80, "far6", "l2")
    packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(dport=80)
    case.send(kit.ether_in() / packet).dropped("backend_not_on_link", "www4", "far4/far", "scheduler")
    packet = IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6) / TCP(dport=80)
    case.send(kit.ether_in() / packet).dropped("backend_not_on_link", "www6", "far6/far", "scheduler")
