"""The backend's next hop, itself or a gateway, has no MAC address yet, or there is no route to it. The flow is entered
all the same, so that it stays with its backend once the kernel has resolved it."""

import kit
from scapy.all import IP, TCP, IPv6


def build(case):
    case.port["gateways"] = ["192.0.2.1"]
    case.neighbours = {"192.0.2.11": "unresolved", "192.0.2.1": "unresolved"}
    case.pool("near", {"near": "192.0.2.11"})
    case.pool("far", {"far": "10.0.0.1"})
    case.pool("nowhere", {"nowhere": "2001:db8:dead::1"})
    case.vip("near", kit.VIP_V4, "tcp", 80, "near", "l2")
    case.vip("far", kit.VIP_V4, "tcp", 81, "far", "ipip")
    case.vip("nowhere", kit.VIP_V6, "tcp", 82, "nowhere", "ipip")
    for rung in ("scheduler", "connection_table"):
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=9, dport=80)
        case.send(kit.ether_in() / packet).dropped("next_hop_unresolved", "near", "near/near", rung)
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=9, dport=81)
        case.send(kit.ether_in() / packet).dropped("next_hop_unresolved", "far", "far/far", rung)
        packet = IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6) / TCP(sport=9, dport=82)
        case.send(kit.ether_in() / packet).dropped("next_hop_unresolved", "nowhere", "nowhere/nowhere", rung)
