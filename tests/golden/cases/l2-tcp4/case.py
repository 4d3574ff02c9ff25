"""L2, IPv4, TCP: a connection from SYN to the last ACK. Only the MAC addresses change: the TTL stays, as if the packet
had been switched. The flow stays in the table after its FIN, because the client still acknowledges data then."""

import kit
from scapy.all import IP, TCP, Raw


def build(case):
    case.pool("web", {"web-1": "192.0.2.11"})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    segments = [
        (TCP(flags="S", seq=100, options=[("MSS", 1460), ("Timestamp", (1, 0))]), b""),
        (TCP(flags="A", seq=101, ack=501), b""),
        (TCP(flags="PA", seq=101, ack=501), b"GET / HTTP/1.1\r\n\r\n"),
        (TCP(flags="FA", seq=119, ack=900), b""),
        (TCP(flags="A", seq=120, ack=2000), b""),
        (TCP(flags="A", seq=120, ack=9000), b""),
    ]
    for number, (tcp, data) in enumerate(segments):
        tcp.sport, tcp.dport = 40000, 80
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4, ttl=57, id=number) / tcp / Raw(data)
        rung = "scheduler" if number == 0 else "connection_table"
        case.send(kit.ether_in() / packet).forwarded(kit.ether_out("192.0.2.11") / packet, "www", "web/web-1", rung)
    case.count("vips", "www", new_flows=1)
    case.count("backends", "web/web-1", flows_started=1, flows_ended=0)
