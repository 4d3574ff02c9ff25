"""A drain in the middle of connections, in both families: connections of the draining backend stay where they are, new
ones go where they would if it were not there; after the undrain new ones go to it again."""

import kit
from scapy.all import IP, TCP, IPv6

BACKENDS = ("web-1", "web-2", "web-3")
OTHERS = {"web-1": 100, "web-3": 100}
FAMILIES = {
    "v4": (IP, kit.CLIENT_V4, kit.VIP_V4, "192.0.2.1{}"),
    "v6": (IPv6, kit.CLIENT_V6, kit.VIP_V6, "2001:db8::1{}"),
}


def build(case):
    for family, (_, _, vip, address) in FAMILIES.items():
        case.pool(f"web{family}", {name: address.format(i) for i, name in enumerate(BACKENDS, 1)})
        case.vip(f"www{family}", vip, "tcp", 80, f"web{family}", "l2")
    all_three, others = kit.Scheduler(dict.fromkeys(BACKENDS, 100)), kit.Scheduler(OTHERS)

    def send(port, flags, scheduler, rung):
        for family, (ip, client, vip, address) in FAMILIES.items():
            name = scheduler.choose(client, vip, port, 80, 6)
            packet = ip(src=client, dst=vip) / TCP(sport=port, dport=80, flags=flags)
            out = kit.ether_out(address.format(BACKENDS.index(name) + 1)) / packet
            case.send(kit.ether_in() / packet).forwarded(out, f"www{family}", f"web{family}/{name}", rung)

    old, new, last = range(1000, 1060), range(2000, 2060), range(3000, 3060)
    for port in old:
        send(port, "S", all_three, "scheduler")
    for family in FAMILIES:
        case.backend_drain(f"web{family}/web-2")
    for port in old:
        send(port, "A", all_three, "connection_table")
    for port in new:
        send(port, "S", others, "scheduler")
    for family in FAMILIES:
        case.backend_undrain(f"web{family}/web-2")
    for port in last:
        send(port, "S", all_three, "scheduler")
    for port in old:
        send(port, "PA", all_three, "connection_table")
    for port in new:
        send(port, "A", others, "connection_table")
    case.expect(rungs={"rescheduled": 0}, table_v4={"entries": 180}, table_v6={"entries": 180})
