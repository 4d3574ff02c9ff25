"""Destination NAT, IPv4, UDP: the backend's address for the VIP's on the way in, the VIP's for the backend's on the way
out, which needs no state, because no other VIP sends to this address and port. One hop less each way."""

import nat


def build(case):
    case.pool("web", {"web-1": nat.BACKENDS[4]})
    case.vip("www", nat.VIPS[4], "udp", 80, "web", "nat")
    nat.conversation(nat.Flow(case, "www", 4, "udp", 80))
