"""With consistency track_unsafe only connections that a change of backends could move have entries: a drain, its end, a
backend that is added and one that gets another weight move none, in both families, and what began at its home has no
entry."""

import kit
from scapy.all import IP, TCP, IPv6

BACKENDS = ("web-1", "web-2", "web-3", "web-4")
FAMILIES = {
    "v4": (IP, kit.CLIENT_V4, kit.VIP_V4, "192.0.2.1{}"),
    "v6": (IPv6, kit.CLIENT_V6, kit.VIP_V6, "2001:db8::1{}"),
}
ESTABLISHED_S = 100


def build(case):
    for family, (_, _, vip, address) in FAMILIES.items():
        case.pool(f"web{family}", {name: address.format(i) for i, name in enumerate(BACKENDS[:3], 1)})
        case.vip(f"www{family}", vip, "tcp", 80, f"web{family}", "l2", consistency="track_unsafe",
                 timeouts={"tcp_established_s": ESTABLISHED_S})
    three, four = (kit.Scheduler(dict.fromkeys(BACKENDS[:n], 100)) for n in (3, 4))
    others = kit.Scheduler(dict.fromkeys(("web-1", "web-3", "web-4"), 100))
    two = kit.Scheduler(dict.fromkeys(("web-1", "web-3"), 100))

    def choose(scheduler, family, port):
        return scheduler.choose(FAMILIES[family][1], FAMILIES[family][2], port, 80, 6)

    def send(family, port, flags, name, rung):
        ip, client, vip, address = FAMILIES[family]
        packet = ip(src=client, dst=vip) / TCP(sport=port, dport=80, flags=flags)
        out = kit.ether_out(address.format(BACKENDS.index(name) + 1)) / packet
        case.send(kit.ether_in() / packet).forwarded(out, f"www{family}", f"web{family}/{name}", rung)

    def all_of(ports):
        return [(family, port) for family in FAMILIES for port in ports]

    def goes_on(flows, home, owner):
        """What is not known is where it began, and is remembered where new connections would be elsewhere."""
        for family, port in flows:
            name = choose(home, family, port)
            moved = name != choose(owner, family, port)
            for rung in ("scheduler", "connection_table") if moved else ("safe", "safe"):
                send(family, port, "A", name, rung)
            entered.update({(family, port): name} if moved else {})

    def begins(flows, home, owner):
        for family, port in flows:
            name = choose(owner, family, port)
            moved = name != choose(home, family, port)
            send(family, port, "S", name, "scheduler" if moved else "safe")
            entered.update({(family, port): name} if moved else {})

    entered = {}
    old, later = all_of(range(1000, 1060)), all_of(range(2000, 2060))
    begins(old, three, three)
    goes_on(old, three, three)
    for table in ("table_v4", "table_v6"):
        case.expect(**{table: {"inserted": 0}})
    for family in FAMILIES:
        case.backend_drain(f"web{family}/web-2")
    goes_on(old, three, two)
    begins(later, three, two)
    for family in FAMILIES:
        case.backend_undrain(f"web{family}/web-2")
    for family, port in old + later:
        known = entered.get((family, port))
        send(family, port, "A", known or choose(three, family, port), "connection_table" if known else "safe")
    # A fourth backend takes new connections, and none that began before.
    entered.clear()
    young = all_of(range(3000, 3060))
    begins(young, three, three)
    for family, (_, _, _, address) in FAMILIES.items():
        case.backend_add(f"web{family}/web-4", address.format(4), 100)
    goes_on(young, three, four)
    for table in ("table_v4", "table_v6"):
        case.expect(**{table: {"entries": "at least 10"}})
    # After the longest silence of a connection the next change gives slots their new homes: what began before is known.
    case.advance(ESTABLISHED_S - 1)
    for family, port in young:
        known = entered.get((family, port))
        send(family, port, "A", known or choose(three, family, port), "connection_table" if known else "safe")
    case.advance(1)
    for family in FAMILIES:
        case.backend_drain(f"web{family}/web-2")
    begins(all_of(range(4000, 4060)), four, others)
    for family, port in young:
        known = entered.get((family, port))
        name = known or choose(three, family, port)
        moved = not known and choose(others, family, port) != name
        send(family, port, "A", name, "connection_table" if known else "scheduler" if moved else "safe")
