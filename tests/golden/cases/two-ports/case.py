"""Packets come in by one port and leave by the one whose network the backend is in; --port says where they arrive. The
source of a tunnel is the address of the port that the packet leaves by."""

import kit
from scapy.all import IP, TCP, Ether

LAN_MAC = "02:5c:00:00:00:01"


def build(case):
    lan = {
        "name": "lan",
        "devices": ["net_null1"],
        "addresses": ["10.9.0.2/16"],
        "mtu": 1500,
        "exception": {"interface": "sluice-lan"},
    }
    case.node["ports"].append(lan)
    case.arguments = ["--port", "wan"]
    case.pool("web", {"web-1": "10.9.0.11"})
    case.vip("plain", kit.VIP_V4, "tcp", 80, "web", "l2")
    case.vip("tunnel", kit.VIP_V4, "tcp", 81, "web", "ipip")
    header = Ether(src=LAN_MAC, dst=kit.mac_of("10.9.0.11"))
    packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=1, dport=80, flags="S")
    case.send(kit.ether_in() / packet).forwarded(header / packet, "plain", "web/web-1")
    packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=1, dport=81, flags="S")
    outer = IP(src="10.9.0.2", dst="10.9.0.11", ttl=64, flags="DF", id=0, proto=4)
    case.send(kit.ether_in() / packet).forwarded(header / outer / packet, "tunnel", "web/web-1")
