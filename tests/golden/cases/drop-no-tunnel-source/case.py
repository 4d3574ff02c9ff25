"""The port has no address of the backend's family that a tunnel could come from. L2 mode needs none."""

import kit
from scapy.all import IP, TCP, IPv6


def build(case):
    case.port["addresses"] = [f"{kit.DIRECTOR_V4}/24"]
    case.port["gateways"] = []
    case.port["gateway_mac"] = "02:00:00:00:01:01"
    case.pool("web6", {"web-1": "2001:db8:77::1"})
    case.vip("www6", kit.VIP_V6, "tcp", 80, "web6", "ipip")
    packet = IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6) / TCP(dport=80)
    case.send(kit.ether_in() / packet).dropped("no_tunnel_source", "www6", "web6/web-1", "scheduler")
