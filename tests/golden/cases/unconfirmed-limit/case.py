"""Flows of which a single packet was seen get a quarter of the table; further ones go by the hash and leave no entry. A
flow's second packet makes room, and so does the end of its time. Each table has its own limit."""

import kit
from scapy.all import IP, TCP, UDP, IPv6

QUARTER = 1024 // 4


def build(case):
    case.pool("web4", {"web-1": "192.0.2.11"})
    case.pool("web6", {"web-1": "2001:db8::11"})
    for protocol in ("tcp", "udp"):
        case.vip(f"{protocol}4", kit.VIP_V4, protocol, 80, "web4", "l2")
        case.vip(f"{protocol}6", kit.VIP_V6, protocol, 80, "web6", "l2")

    def send(family, port, rung, flags=None):
        ip = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) if family == 4 else IPv6(src=kit.CLIENT_V6, dst=kit.VIP_V6)
        l4 = TCP(sport=port, dport=80, flags=flags) if flags else UDP(sport=port, dport=80)
        backend = "192.0.2.11" if family == 4 else "2001:db8::11"
        vip = f"{'tcp' if flags else 'udp'}{family}"
        case.send(kit.ether_in() / ip / l4).forwarded(
            kit.ether_out(backend) / ip / l4, vip, f"web{family}/web-1", rung
        )

    for family in (4, 6):
        # A SYN and a single datagram count alike; an RST leaves no entry anyway, and a FIN ends soon.
        for port in range(QUARTER // 2):
            send(family, port, "scheduler", "S")
            send(family, port, "scheduler")
        for _ in range(2):
            send(family, 1000, "scheduler_no_entry", "S")
            send(family, 1000, "scheduler_no_entry", "A")
            send(family, 1000, "scheduler_no_entry")
        send(family, 1001, "scheduler", "FA")
        # A retransmitted SYN shows no life, an ACK and a second datagram do.
        send(family, 0, "connection_table", "S")
        send(family, 1000, "scheduler_no_entry", "S")
        send(family, 0, "connection_table", "A")
        send(family, 0, "connection_table")
        send(family, 1000, "scheduler", "S")
        send(family, 1000, "scheduler")
        send(family, 1002, "scheduler_no_entry", "S")
        case.count("vips", f"udp{family}", new_flows=QUARTER // 2 + 1)
    # SYNs end after 30 s, datagrams after 60.
    case.wait(31)
    for family in (4, 6):
        for port in range(2000, 2000 + QUARTER // 2):
            send(family, port, "scheduler", "S")
        send(family, 3000, "scheduler_no_entry", "S")
        send(family, 0, "connection_table", "A")
    for table in ("table_v4", "table_v6"):
        case.counters[table] = {"inserted": QUARTER + QUARTER // 2 + 3, "unconfirmed_full": 9}
