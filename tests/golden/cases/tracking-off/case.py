"""VIPs without connection tracking: the hash alone decides about each packet, nothing is remembered, and the table's
limits do not matter."""

import kit
from scapy.all import IP, TCP, UDP, IPv6

BACKENDS = {4: {"a": "192.0.2.11", "b": "192.0.2.12"}, 6: {"a": "2001:db8::11", "b": "2001:db8::12"}}


def build(case):
    scheduler = kit.Scheduler({"a": 100, "b": 100})
    for family, client, vip in ((4, kit.CLIENT_V4, kit.VIP_V4), (6, kit.CLIENT_V6, kit.VIP_V6)):
        case.pool(f"web{family}", BACKENDS[family])
        for protocol in ("tcp", "udp"):
            case.vip(f"{protocol}{family}", vip, protocol, 80, f"web{family}", "l2", connection_tracking="off")
        ip = (IP if family == 4 else IPv6)(src=client, dst=vip)
        for port in range(100):
            for l4, number in (
                (TCP(sport=port, dport=80, flags="S"), 6),
                (TCP(sport=port, dport=80, flags="A"), 6),
                (UDP(sport=port, dport=80), 17),
            ):
                name = scheduler.choose(client, vip, port, 80, number)
                case.send(kit.ether_in() / ip / l4).forwarded(
                    kit.ether_out(BACKENDS[family][name]) / ip / l4,
                    f"{'tcp' if number == 6 else 'udp'}{family}",
                    f"web{family}/{name}",
                    "hash_only",
                )
    for table in ("table_v4", "table_v6", "table_wide"):
        case.counters[table] = {"inserted": 0, "unconfirmed_full": 0}
