"""A VIP goes over from a tunnel to backends of the other family to L2 and NAT with backends of its own: connections
that the table still knows at the old ones, which are there for another VIP, cannot be brought to them any more. New
ones go to the new backends, and the old ones do again once the table has forgotten them."""

import copy

import kit
import nat
import tunnel

OTHER = {4: 6, 6: 4}
FORGOTTEN_S = 28801  # beyond the longest timeout there can be


def build(case):
    scheduler = kit.Scheduler({"web-1": 100})
    for family in (4, 6):
        case.pool(f"web{family}", {"web-1": nat.BACKENDS[family]})
    for family in (4, 6):
        for port, name in ((80, "bridged"), (81, "translated"), (82, "other")):
            case.vip(f"{name}{family}", nat.VIPS[family], "tcp", port, f"web{OTHER[family]}", "ipip")

    def flow(family, name, port, client_port, inside):
        return nat.Flow(case, f"{name}{family}", family, "tcp", port, client_port, backend=f"web{inside}/web-1",
                        inside=inside)

    def send(f, flags, rung, mode):
        packet = f.packet(l4_fields={"flags": flags})
        if mode == "nat":
            f.sends(packet, rung)
            return
        out = tunnel.carried(mode, packet, f.inside, f.hash)
        case.send(kit.ether_in() / packet).forwarded(out, f.vip, f.backend, rung)

    vips = [(family, name, port, mode) for family in (4, 6) for name, port, mode in
            (("bridged", 80, "l2"), ("translated", 81, "nat"))]
    for family, name, port, _ in vips:
        old = flow(family, name, port, 40000, OTHER[family])
        send(old, "S", "scheduler", "ipip")
        send(old, "A", "connection_table", "ipip")
    services = copy.deepcopy(case.services)
    for vip in services["vips"]:
        for family, name, _, mode in vips:
            if vip["name"] == f"{name}{family}":
                vip.update(pool=f"web{family}", mode=mode)
    wrong = copy.deepcopy(services)
    wrong["vips"][0]["pool"] = "web6"
    case.apply(wrong, refused="cannot take IPv4 packets")
    case.apply(services)
    for family, name, port, mode in vips:
        old = flow(family, name, port, 40000, OTHER[family])
        case.send(kit.ether_in() / old.packet(l4_fields={"flags": "A"})).dropped(
            "family_mismatch", old.vip, old.backend, "connection_table")
        send(flow(family, name, port, 40001, family), "S", "scheduler", mode)
    case.advance(FORGOTTEN_S)
    for family, name, port, mode in vips:
        send(flow(family, name, port, 40000, family), "A", "scheduler", mode)
