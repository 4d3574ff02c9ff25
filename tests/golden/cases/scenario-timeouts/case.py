"""Time that passes without packets ends connections, also in steps longer than the 16 bits of a table's time stamps."""

import kit
from scapy.all import IP, TCP, UDP

BACKEND = "web/web-1"


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("tcp", kit.VIP_V4, "tcp", 80, "web", "l2")
    case.vip("udp", kit.VIP_V4, "udp", 80, "web", "l2")

    def send(vip, segment, rung):
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / segment
        case.send(kit.ether_in() / packet).forwarded(kit.ether_out("192.0.2.11") / packet, vip, BACKEND, rung)

    def alive(flows):
        case.expect(backends={BACKEND: {"flows_alive": flows}}, table_v4={"entries": flows})

    send("udp", UDP(sport=1, dport=80), "scheduler")
    send("tcp", TCP(sport=1, dport=80, flags="S"), "scheduler")
    send("tcp", TCP(sport=2, dport=80, flags="S"), "scheduler")
    send("tcp", TCP(sport=2, dport=80, flags="A"), "connection_table")
    case.advance(29)
    alive(3)
    case.advance(1)
    alive(2)  # without the half-open connection
    send("udp", UDP(sport=1, dport=80), "connection_table")
    case.advance(59)
    alive(2)
    case.advance(2)
    alive(1)
    send("tcp", TCP(sport=2, dport=80, flags="A"), "connection_table")
    case.advance(7199)
    alive(1)
    case.advance(1)
    alive(0)
    send("tcp", TCP(sport=2, dport=80, flags="S"), "scheduler")
    send("tcp", TCP(sport=2, dport=80, flags="A"), "connection_table")
    case.advance(65536 + 100)  # a time stamp of 16 bits says 100 s
    alive(0)
    send("tcp", TCP(sport=2, dport=80, flags="A"), "scheduler")
    case.wait(65536 + 100)  # the same, by the capture's time stamps
    send("tcp", TCP(sport=2, dport=80, flags="A"), "scheduler")
