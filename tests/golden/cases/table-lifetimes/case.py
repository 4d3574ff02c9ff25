"""How long flows are remembered: a UDP flow for 60 s after its last packet, a half-open TCP connection for 30 s, an
established one for longer; an RST ends soon, and a later packet of the connection brings it back. A SYN after the FIN
begins a new connection on the same ports."""

import kit
from scapy.all import IP, TCP, UDP

BACKEND = "web/web-1"


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("tcp", kit.VIP_V4, "tcp", 80, "web", "l2")
    case.vip("udp", kit.VIP_V4, "udp", 80, "web", "l2")

    def tcp(port, flags, rung):
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=port, dport=80, flags=flags)
        case.send(kit.ether_in() / packet).forwarded(kit.ether_out("192.0.2.11") / packet, "tcp", BACKEND, rung)

    def udp(rung):
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / UDP(sport=9, dport=80)
        case.send(kit.ether_in() / packet).forwarded(kit.ether_out("192.0.2.11") / packet, "udp", BACKEND, rung)

    udp("scheduler")
    tcp(1, "S", "scheduler")
    tcp(2, "S", "scheduler")
    tcp(2, "A", "connection_table")
    tcp(3, "R", "scheduler")  # of an unknown flow: forwarded, not remembered
    tcp(3, "R", "scheduler")
    case.wait(25)
    udp("connection_table")
    tcp(1, "S", "connection_table")  # a retransmission
    case.wait(40)
    udp("connection_table")
    tcp(1, "A", "scheduler")  # the half-open entry ended
    tcp(2, "A", "connection_table")
    case.wait(61)
    udp("scheduler")
    tcp(2, "FA", "connection_table")
    tcp(2, "A", "connection_table")
    tcp(2, "S", "scheduler")  # a new connection on the same ports
    tcp(2, "A", "connection_table")
    tcp(2, "R", "connection_table")
    tcp(2, "A", "connection_table")  # the RST was forged
    tcp(4, "FA", "scheduler")  # the last packets of a connection from before
    case.wait(8)
    tcp(4, "A", "connection_table")
    tcp(2, "A", "connection_table")
    tcp(2, "R", "connection_table")
    case.wait(8)
    tcp(2, "A", "scheduler")
    case.count("vips", "udp", new_flows=2)
