"""With a second chance, GUE names another backend beside the one that a packet goes to: the previous owner of the flow's
slot, or its present one, where a drain and its end have moved the slot. In all mixes of families; not for SYNs, nor for
flows whose slot did not move."""

import kit
import tunnel
from scapy.all import IP, TCP, IPv6, Raw

BACKENDS = ("web-1", "web-2", "web-3")
ADDRESS = {4: "192.0.2.1{}", 6: "2001:db8::1{}"}
MIXES = [(inner, outer) for inner in (4, 6) for outer in (4, 6)]
NAME_BYTES = {4: 8, 6: 20}


def build(case):
    for outer, address in ADDRESS.items():
        case.pool(f"web{outer}", {name: address.format(i) for i, name in enumerate(BACKENDS, 1)})
    for inner, outer in MIXES:
        case.vip(f"{inner}in{outer}", kit.VIPS[inner], "tcp", 80 + outer, f"web{outer}", "gue", second_chance=True)
    all_three = kit.Scheduler(dict.fromkeys(BACKENDS, 100))
    others = kit.Scheduler({"web-1": 100, "web-3": 100})
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

    def choose(scheduler, mix, port):
        inner, outer = mix
        client, vip = (kit.CLIENT_V4, kit.VIP_V4) if inner == 4 else (kit.CLIENT_V6, kit.VIP_V6)
        return scheduler.choose(client, vip, port, 80 + outer, 6)

    known, unknown, begun, late = range(1000, 1030), range(2000, 2030), range(3000, 3030), range(4000, 4030)
    for mix in MIXES:
        for port in known:
            name = choose(all_three, mix, port)
            send(mix, port, "S", name, None, "scheduler")
            send(mix, port, "A", name, None, "connection_table")
    for outer in ADDRESS:
        case.backend_drain(f"web{outer}/web-2")
    for mix in MIXES:
        for port in known:
            # Its entry says where it is; whoever has the slot now is named in vain.
            name, owner = choose(all_three, mix, port), choose(others, mix, port)
            send(mix, port, "A", name, None if name == owner else owner, "connection_table", payload=port % 3)
        for port in unknown:
            name, owner = choose(all_three, mix, port), choose(others, mix, port)
            second = None if name == owner else name
            send(mix, port, "A", owner, second, "scheduler")
            send(mix, port, "FA", owner, second, "connection_table")
        for port in begun:
            name, owner = choose(all_three, mix, port), choose(others, mix, port)
            send(mix, port, "S", owner, None, "scheduler")
            send(mix, port, "A", owner, None if name == owner else name, "connection_table")
    for outer in ADDRESS:
        case.backend_undrain(f"web{outer}/web-2")
    for mix in MIXES:
        for port in late:
            name, before = choose(all_three, mix, port), choose(others, mix, port)
            send(mix, port, "A", name, None if name == before else before, "scheduler")
    case.expect(rungs={"second_chances": named})
