"""VIPs whose choice of a backend depends on less than the whole tuple: hash: client and hash: client-port."""

import kit
from scapy.all import IP, TCP, UDP, IPv6

BACKENDS = {
    4: {"a": "192.0.2.11", "b": "192.0.2.12", "c": "192.0.2.13"},
    6: {"a": "2001:db8::11", "b": "2001:db8::12", "c": "2001:db8::13"},
}
NONE = {4: "0.0.0.0", 6: "::"}  # what does not count is zero


def build(case, hash_input, port_counts):
    """Forty clients of each family with two ports each, to VIPs of all kinds. `port_counts`: the client's port is part
    of the hash input."""
    scheduler = kit.Scheduler({"a": 100, "b": 100, "c": 100})
    case.node["tables"] = {"connections_v4": 8192, "connections_v6": 8192}
    for family, vip, network in ((4, kit.VIP_V4, "203.0.113.128/25"), (6, kit.VIP_V6, "2001:db8:f:8::/64")):
        inside = "203.0.113.200" if family == 4 else "2001:db8:f:8::200"
        case.pool(f"web{family}", BACKENDS[family])
        case.vip(f"tcp{family}", vip, "tcp", "8000-8999", f"web{family}", "l2", hash=hash_input)
        case.vip(f"udp{family}", vip, "udp", 53, f"web{family}", "l2", hash=hash_input)
        case.vip(f"net{family}", network, "tcp", 80, f"web{family}", "l2", hash=hash_input)
        case.vip(f"off{family}", vip, "udp", 54, f"web{family}", "l2", hash=hash_input, connection_tracking="off")
        case.vip(f"tuple{family}", vip, "udp", 55, f"web{family}", "l2", hash="tuple")
        chosen = set()
        for host in range(1, 41):
            client = f"198.51.100.{host}" if family == 4 else f"2001:db8:c::{host:x}"
            for port in (1024, 50000 + host):
                name = scheduler.choose(client, NONE[family], port if port_counts else 0, 0, 0)
                chosen.add(name)
                by_tuple = scheduler.choose(client, vip, port, 55, 17)
                for service, address, l4, backend in (
                    ("tcp", vip, TCP(sport=port, dport=8000, flags="S"), name),
                    ("tcp", vip, TCP(sport=port, dport=8999, flags="S"), name),
                    ("udp", vip, UDP(sport=port, dport=53), name),
                    ("net", inside, TCP(sport=port, dport=80, flags="S"), name),
                    ("off", vip, UDP(sport=port, dport=54), name),
                    ("tuple", vip, UDP(sport=port, dport=55), by_tuple),
                ):
                    packet = (IP if family == 4 else IPv6)(src=client, dst=address) / l4
                    for rung in ("scheduler", "connection_table") if service != "off" else ("hash_only",):
                        case.send(kit.ether_in() / packet).forwarded(
                            kit.ether_out(BACKENDS[family][backend]) / packet,
                            f"{service}{family}",
                            f"web{family}/{backend}",
                            rung,
                        )
        if len(chosen) != 3:
            raise ValueError("the clients do not reach all backends")
    # Each client and port has an entry of its own: affinity does not fold flows into one.
    for table in ("table_v4", "table_v6"):
        case.counters[table] = {"inserted": 40 * 2 * 4}
    case.counters["table_wide"] = {"inserted": 2 * 40 * 2}
