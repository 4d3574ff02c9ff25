"""Removing a backend: its connections get another one and are counted as rescheduled, those of the others stay. What is
added later under the same name is another backend: connections do not come back to it, and its counters begin at 0."""

import kit
from scapy.all import IP, TCP

ADDRESSES = {"web-1": "192.0.2.11", "web-2": "192.0.2.12", "web-3": "192.0.2.13"}


def build(case):
    case.pool("web", ADDRESSES)
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
    all_three = kit.Scheduler(dict.fromkeys(ADDRESSES, 100))
    others = kit.Scheduler({"web-1": 100, "web-3": 100})

    def send(port, flags, name, rung):
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=port, dport=80, flags=flags)
        out = kit.ether_out(ADDRESSES[name]) / packet
        case.send(kit.ether_in() / packet).forwarded(out, "www", f"web/{name}", rung)

    def first(port):
        return all_three.choose(kit.CLIENT_V4, kit.VIP_V4, port, 80, 6)

    def second(port):
        return others.choose(kit.CLIENT_V4, kit.VIP_V4, port, 80, 6) if first(port) == "web-2" else first(port)

    ports = range(1000, 1060)
    moved = [port for port in ports if first(port) == "web-2"]
    for port in ports:
        send(port, "S", first(port), "scheduler")
    for port in ports:
        send(port, "A", first(port), "connection_table")
    case.expect(backends={"web/web-2": {"packets": 2 * len(moved), "flows_alive": len(moved)}})
    case.backend_remove("web/web-2")
    # The first half of its connections is rescheduled by its next packet; the sweep ends the entries of the others,
    # which are then unknown.
    half = moved[: len(moved) // 2]
    for port in half:
        send(port, "A", second(port), "scheduler")
    case.expect(rungs={"rescheduled": len(half)}, table_v4={"entries": len(ports), "replaced": len(half)})
    case.advance(1)
    case.expect(table_v4={"entries": len(ports) - len(moved) + len(half), "expired": len(moved) - len(half)})
    for port in ports:
        known = port in half or port not in moved
        send(port, "A", second(port), "connection_table" if known else "scheduler")
    case.backend_add("web/web-2", ADDRESSES["web-2"])
    for port in ports:
        send(port, "A", second(port), "connection_table")
    case.expect(
        rungs={"rescheduled": len(half)},
        backends={"web/web-2": {"packets": 0, "flows_started": 0, "flows_ended": 0, "flows_alive": 0}},
    )
    for port in range(2000, 2060):
        send(port, "S", first(port), "scheduler")
