"""ICMP errors about a flow that is not in the table go where its hash points, where the flow was if the pool has not
changed; nothing is entered. The same for VIPs that do not track connections, and for prefixes."""

import icmp_errors
import kit
from scapy.all import IP, TCP, IPv6

BACKENDS = {4: {"a": "192.0.2.11", "b": "192.0.2.12"}, 6: {"a": "2001:db8::11", "b": "2001:db8::12"}}


def build(case):
    scheduler = kit.Scheduler({"a": 100, "b": 100})
    for family in (4, 6):
        client, vip = icmp_errors.CLIENTS[family], icmp_errors.VIPS[family]
        case.pool(f"web{family}", BACKENDS[family])
        case.vip(f"tracked{family}", vip, "tcp", 80, f"web{family}", "l2")
        case.vip(f"untracked{family}", vip, "tcp", 81, f"web{family}", "l2", connection_tracking="off")
        prefix, inside = ("198.18.7.0/24", "198.18.7.200") if family == 4 else ("2001:db8:7::/64", "2001:db8:7::200")
        case.vip(f"net{family}", prefix, "tcp", 80, f"web{family}", "l2")

        def send(packet, name, address, client_port, port, rung):
            backend = scheduler.choose(client, address, client_port, port, 6)
            case.send(kit.ether_in() / packet).forwarded(
                kit.ether_out(BACKENDS[family][backend]) / packet, f"{name}{family}", f"web{family}/{backend}", rung
            )

        for client_port in range(20):
            for name, address, port in (("tracked", vip, 80), ("untracked", vip, 81), ("net", inside, 80)):
                quoted = icmp_errors.quote(family, client_port, vip_port=port, source=address)
                header = next(icmp_errors.kinds(family))
                error = icmp_errors.error(family, header, quoted, destination=address)
                packet = (IP if family == 4 else IPv6)(src=client, dst=address)
                packet /= TCP(sport=client_port, dport=port, flags="S")
                rungs = ("scheduler_no_entry", "scheduler_no_entry", "scheduler", "connection_table")
                if name == "untracked":
                    rungs = ("hash_only",) * 4
                for what, rung in zip((error, error, packet, error), rungs):
                    send(what, name, address, client_port, port, rung)
    for table in ("table_v4", "table_v6"):
        case.counters[table] = {"inserted": 20}
    case.counters["table_wide"] = {"inserted": 40}
