"""Without a gateway there is no way to a client that is not on link: its packets get to the backend, the answers are
dropped. Those to a client on link go."""

import kit
import nat


def build(case):
    case.port["gateways"] = ["192.0.2.1"]
    case.neighbours["192.0.2.77"] = kit.mac_of("192.0.2.77")
    for family in (4, 6):
        case.pool(f"web{family}", {"web-1": nat.BACKENDS[family]})
        case.vip(f"www{family}", nat.VIPS[family], "tcp", 80, f"web{family}", "nat")
    flow = nat.Flow(case, "www6", 6, "tcp", 80, backend="web6/web-1")
    flow.sends(flow.packet(), "scheduler")
    refused = case.send(kit.ether_in() / flow.reply(l4_fields={"flags": "SA"}))
    refused.dropped("no_client_route", "www6")
    refused.is_reply = True
    near = nat.Flow(case, "www4", 4, "tcp", 80, backend="web4/web-1")
    near.client = near.local = ("192.0.2.77", 40000)
    near.sends(near.packet(), "scheduler")
    reply = near.reply(l4_fields={"flags": "SA"})
    out = nat.changed(reply, near.service)
    case.send(kit.ether_in() / reply).replied(kit.ether_out("192.0.2.77") / out, "www4")
