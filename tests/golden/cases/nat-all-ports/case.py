"""A VIP of all ports and one of a range with destination NAT: the backends listen where the client asks, and their
answers leave from the same port without any state."""

import kit
import nat


def build(case):
    case.pool("web", {"web-1": nat.BACKENDS[4]})
    case.pool("web6", {"web-1": nat.BACKENDS[6]})
    case.vip("all", nat.VIPS[4], "tcp", "all", "web", "nat")
    case.vip("range", nat.VIPS[6], "udp", "5000-5999", "web6", "nat")
    for port in (1, 80, 65535):
        flow = nat.Flow(case, "all", 4, "tcp", port)
        flow.sends(flow.packet(), "scheduler")
        flow.answers(flow.reply(b"x", {"flags": "SA"}))
    for port in (5000, 5500, 5999):
        flow = nat.Flow(case, "range", 6, "udp", port, backend="web6/web-1")
        flow.sends(flow.packet(b"q"), "scheduler")
        flow.answers(flow.reply(b"x"))
    # Beyond the range the backend's packets are its own.
    stranger = nat.Flow(case, "range", 6, "udp", 6000, backend="web6/web-1")
    case.send(kit.ether_in() / stranger.reply(b"x")).punted("other")
