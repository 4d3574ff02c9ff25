"""Destination NAT, IPv6, UDP: the backend's address for the VIP's on the way in, the VIP's for the backend's on the way
out, which needs no state, because no other VIP sends to this address and port. One hop less each way."""

import nat


def build(case):
    case.pool("web", {"web-1": nat.BACKENDS[6]})
    case.vip("www", nat.VIPS[6], "udp", 80, "web", "nat")
    nat.conversation(nat.Flow(case, "www", 6, "udp", 80))
