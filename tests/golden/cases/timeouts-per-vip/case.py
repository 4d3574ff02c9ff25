"""Timeouts of a VIP replace the node's one by one; those that it does not name stay the node's. Both are on one
address, so the entries are in one table."""

import kit
from scapy.all import IP, TCP, UDP, IPv6

BACKENDS = {4: "192.0.2.11", 6: "2001:db8::11"}


def build(case):
    case.node["timeouts"] = {"udp_s": 20, "tcp_syn_s": 10, "tcp_established_s": 100}
    for family in (4, 6):
        case.pool(f"web{family}", {"web-1": BACKENDS[family]})
        vip = kit.VIP_V4 if family == 4 else kit.VIP_V6
        case.vip(f"node-udp{family}", vip, "udp", 80, f"web{family}", "l2")
        case.vip(f"short-udp{family}", vip, "udp", 81, f"web{family}", "l2", timeouts={"udp_s": 5})
        case.vip(f"long-udp{family}", vip, "udp", 82, f"web{family}", "l2", timeouts={"udp_s": 300})
        case.vip(f"node-tcp{family}", vip, "tcp", 80, f"web{family}", "l2")
        case.vip(f"own-tcp{family}", vip, "tcp", 81, f"web{family}", "l2", timeouts={"tcp_syn_s": 3})
        net = "203.0.113.128/25" if family == 4 else "2001:db8:f:8::/64"
        case.vip(f"short-net{family}", net, "udp", 80, f"web{family}", "l2", timeouts={"udp_s": 5})

    def send(name, l4, rung):
        for family in (4, 6):
            client, vip = (kit.CLIENT_V4, kit.VIP_V4) if family == 4 else (kit.CLIENT_V6, kit.VIP_V6)
            if name == "short-net":
                vip = "203.0.113.130" if family == 4 else "2001:db8:f:8::1"
            packet = (IP if family == 4 else IPv6)(src=client, dst=vip) / l4
            case.send(kit.ether_in() / packet).forwarded(
                kit.ether_out(BACKENDS[family]) / packet, f"{name}{family}", f"web{family}/web-1", rung
            )

    def udp(node, short, long):
        send("node-udp", UDP(sport=9, dport=80), node)
        send("short-udp", UDP(sport=9, dport=81), short)
        send("short-net", UDP(sport=9, dport=80), short)
        send("long-udp", UDP(sport=9, dport=82), long)

    new, known = "scheduler", "connection_table"
    udp(new, new, new)
    send("node-tcp", TCP(sport=1, dport=80, flags="S"), new)
    send("own-tcp", TCP(sport=1, dport=81, flags="S"), new)
    send("own-tcp", TCP(sport=2, dport=81, flags="S"), new)
    send("own-tcp", TCP(sport=2, dport=81, flags="A"), known)
    case.wait(4)
    udp(known, known, known)
    send("node-tcp", TCP(sport=1, dport=80, flags="S"), known)
    send("own-tcp", TCP(sport=1, dport=81, flags="S"), new)
    case.wait(6)
    udp(known, new, known)
    case.wait(21)
    udp(new, new, known)
    send("node-tcp", TCP(sport=1, dport=80, flags="S"), new)
    case.wait(60)
    send("own-tcp", TCP(sport=2, dport=81, flags="A"), known)  # the node's 100 s
    case.wait(101)
    send("own-tcp", TCP(sport=2, dport=81, flags="A"), new)
    udp(new, new, known)
