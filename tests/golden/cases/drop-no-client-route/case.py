"""Without a gateway there is no way to a client that is not on link: its packets get to the backend, the answers are
dropped. Those to a client on link go."""

import kit
import nat


def build(case):
    case.port["gateways"] = []
    for family, station in ((4, "192.0.2.77"), (6, "2001:db8::77")):
        vip, backend = f"www{family}", f"web{family}/web-1"
        case.neighbours[station] = kit.mac_of(station)
        case.pool(f"web{family}", {"web-1": nat.BACKENDS[family]})
        case.vip(vip, nat.VIPS[family], "tcp", 80, f"web{family}", "nat")
        flow = nat.Flow(case, vip, family, "tcp", 80, backend=backend)
        flow.sends(flow.packet(), "scheduler")
        refused = case.send(kit.ether_in() / flow.reply(l4_fields={"flags": "SA"}))
        refused.dropped("no_client_route", vip)
        refused.is_reply = True
        near = nat.Flow(case, vip, family, "tcp", 80, backend=backend)
        near.client = near.local = (station, 40000)
        near.sends(near.packet(), "scheduler")
        reply = near.reply(l4_fields={"flags": "SA"})
        out = nat.changed(reply, near.service)
        case.send(kit.ether_in() / reply).replied(kit.ether_out(station) / out, vip)
