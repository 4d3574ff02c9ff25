"""With a second chance, GUE names another backend beside the one that a packet goes to: the previous owner of the
flow's slot; or its home, which a drain does not move; or its present owner; or who would have it without that one. In
all mixes of families, and not for SYNs."""

import kit
import tunnel
from scapy.all import IP, TCP, IPv6, Raw

BACKENDS = ("web-1", "web-2", "web-3")
ADDRESS = {4: "192.0.2.1{}", 6: "2001:db8::1{}"}
MIXES = [(inner, outer) for inner in (4, 6) for outer in (4, 6)]


def build(case):
    for outer, address in ADDRESS.items():
        case.pool(f"web{outer}", {name: address.format(i) for i, name in enumerate(BACKENDS, 1)})
    for inner, outer in MIXES:
        case.vip(f"{inner}in{outer}", kit.VIPS[inner], "tcp", 80 + outer, f"web{outer}", "gue", second_chance=True)
    all_three = kit.Scheduler(dict.fromkeys(BACKENDS, 100), heirs=True)
    others = kit.Scheduler({"web-1": 100, "web-3": 100}, heirs=True)
    named = 0

    def send(mix, port, flags, name, second, rung, payload=0):
        nonlocal named
        inner, outer = mix
        client, vip = (kit.CLIENT_V4, kit.VIP_V4) if inner == 4 else (kit.CLIENT_V6, kit.VIP_V6)
        packet = (IP if inner == 4 else IPv6)(src=client, dst=vip) / TCP(sport=port, dport=80 + outer, flags=flags)
        packet = packet / Raw(b"x" * payload)
        address = {each: ADDRESS[outer].format(i) for i, each in enumerate(BACKENDS, 1)}
        out = tunnel.wrap("gue", packet, address[name], all_three.hash(client, vip, port, 80 + outer, 6),
                          second=address.get(second))
        case.send(kit.ether_in() / packet).forwarded(
            kit.ether_out(address[name]) / out, f"{inner}in{outer}", f"web{outer}/{name}", rung)
        named += second is not None

    def flow(mix, port):
        inner, outer = mix
        client, vip = (kit.CLIENT_V4, kit.VIP_V4) if inner == 4 else (kit.CLIENT_V6, kit.VIP_V6)
        return client, vip, port, 80 + outer, 6

    def second(chosen, owners, mix, port):
        """Whom to name beside `chosen`; `owners`: the tables so far, the present one last."""
        names = [owner.choose(*flow(mix, port)) for owner in owners]
        moved = [name for name, later in zip(names, names[1:]) if name != later]
        candidates = [*moved[-1:], all_three.choose(*flow(mix, port)), names[-1], owners[-1].heir(*flow(mix, port))]
        return next(name for name in candidates if name != chosen)

    known, unknown, begun, late = range(1000, 1030), range(2000, 2030), range(3000, 3030), range(4000, 4030)
    owners = [all_three]
    for mix in MIXES:
        for port in known:
            name = all_three.choose(*flow(mix, port))
            send(mix, port, "S", name, None, "scheduler")
            send(mix, port, "A", name, second(name, owners, mix, port), "connection_table")
    for outer in ADDRESS:
        case.backend_drain(f"web{outer}/web-2")
    owners.append(others)
    for mix in MIXES:
        for port in known:
            # Its entry says where it is; another is named in vain.
            name = all_three.choose(*flow(mix, port))
            send(mix, port, "A", name, second(name, owners, mix, port), "connection_table", payload=port % 3)
        for port in unknown:
            name = others.choose(*flow(mix, port))
            send(mix, port, "A", name, second(name, owners, mix, port), "scheduler")
            send(mix, port, "FA", name, second(name, owners, mix, port), "connection_table")
        for port in begun:
            name = others.choose(*flow(mix, port))
            send(mix, port, "S", name, None, "scheduler")
            send(mix, port, "A", name, second(name, owners, mix, port), "connection_table")
    for outer in ADDRESS:
        case.backend_undrain(f"web{outer}/web-2")
    owners.append(all_three)
    for mix in MIXES:
        for port in late:
            name = all_three.choose(*flow(mix, port))
            send(mix, port, "A", name, second(name, owners, mix, port), "scheduler")
    case.expect(rungs={"second_chances": named})
