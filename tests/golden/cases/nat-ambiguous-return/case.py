"""Two VIPs that send to one port of a backend, and a VIP of many addresses: only a session tells which of them a client
talks to, and the answer comes from there. With TCP, UDP, and both families."""

import nat


def build(case):
    for family in (4, 6):
        case.pool(f"web{family}", {"web-1": {"address": nat.BACKENDS[family], "port": 8080}})
        case.pool(f"wide{family}", {"web-1": {"address": nat.BACKENDS[family].replace("11", "12"), "port": 8080}})
        prefix = {4: "198.18.0.0/24", 6: "2001:db8:ff::/64"}[family]
        for protocol in ("tcp", "udp"):
            for port in (80, 81):
                case.vip(f"{protocol}{port}-{family}", nat.VIPS[family], protocol, port, f"web{family}", "nat")
            case.vip(f"{protocol}-wide{family}", prefix, protocol, 80, f"wide{family}", "nat")
    for family in (4, 6):
        for protocol in ("tcp", "udp"):
            for port, client_port in ((80, 40000), (81, 40001)):
                vip, backend = f"{protocol}{port}-{family}", f"web{family}/web-1"
                flow = nat.Flow(case, vip, family, protocol, port, client_port, backend_port=8080, backend=backend)
                flow.sends(flow.packet(b"?"), "scheduler")
                flow.answers(flow.reply(b"!", {"flags": "SA"} if protocol == "tcp" else {}), by_session=True)
                if protocol == "udp":
                    flow.sends(flow.packet(b"?"), "connection_table")
            for number in (1, 9):
                address = {4: f"198.18.0.{number}", 6: f"2001:db8:ff::{number}"}[family]
                vip, backend = f"{protocol}-wide{family}", f"wide{family}/web-1"
                inside = nat.BACKENDS[family].replace("11", "12")
                flow = nat.Flow(case, vip, family, protocol, 80, 41000 + number, backend_port=8080, backend=backend,
                                address=inside, vip_address=address)
                flow.sends(flow.packet(b"?"), "scheduler")
                flow.answers(flow.reply(b"!", {"flags": "SA"} if protocol == "tcp" else {}), by_session=True)
