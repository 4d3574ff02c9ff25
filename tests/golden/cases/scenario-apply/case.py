"""Applying other services: connections stay where they are while backends are added. Changes that are refused, of a
file or of one backend, change nothing."""

import copy

import kit
from scapy.all import IP, TCP

ADDRESSES = {"web-1": "192.0.2.11", "web-2": "192.0.2.12", "web-3": "192.0.2.13"}


def build(case):
    case.pool("web", {"web-1": ADDRESSES["web-1"]})
    case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")

    def send(port, flags, name, rung):
        packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=port, dport=80, flags=flags)
        out = kit.ether_out(ADDRESSES[name]) / packet
        case.send(kit.ether_in() / packet).forwarded(out, "www", f"web/{name}", rung)

    ports = range(1000, 1030)
    for port in ports:
        send(port, "S", "web-1", "scheduler")

    wrong = copy.deepcopy(case.services)
    wrong["pools"][0]["backends"] = [{"name": "web-2", "address": ADDRESSES["web-2"]}]
    wrong["vips"][0]["pool"] = "missing"
    case.apply(wrong, refused='"missing"')
    own_address = copy.deepcopy(case.services)
    own_address["pools"][0]["backends"] = [{"name": "web-2", "address": kit.DIRECTOR_V4}]
    case.apply(own_address, refused=kit.DIRECTOR_V4)
    case.backend_add("web/web-1", ADDRESSES["web-2"], refused="already has a backend")
    case.backend_remove("web/web-2", refused="web-2")
    case.backend_weight("other/web-1", 5, refused="other")
    for port in ports:
        send(port, "A", "web-1", "connection_table")
    for port in range(2000, 2030):
        send(port, "S", "web-1", "scheduler")

    larger = copy.deepcopy(case.services)
    larger["pools"][0]["backends"] += [{"name": n, "address": ADDRESSES[n]} for n in ("web-2", "web-3")]
    case.apply(larger)
    scheduler = kit.Scheduler(dict.fromkeys(ADDRESSES, 100))
    for port in ports:
        send(port, "A", "web-1", "connection_table")
    for port in range(3000, 3030):
        send(port, "S", scheduler.choose(kit.CLIENT_V4, kit.VIP_V4, port, 80, 6), "scheduler")
    case.expect(backends={"web/web-2": {"flows_alive": "at least 1"}})
