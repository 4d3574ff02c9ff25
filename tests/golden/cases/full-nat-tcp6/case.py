"""Full NAT, IPv6, TCP: the backend sees a local address and a port that the flow's hash chooses, and answers there. The
session brings the answers back to the client."""

import nat


def build(case):
    nat.use_full_nat(case)
    case.pool("web", {"web-1": nat.BACKENDS[6]})
    case.vip("www", nat.VIPS[6], "tcp", 80, "web", "full-nat")
    nat.conversation(nat.Flow(case, "www", 6, "tcp", 80, full=True))
