"""Full NAT, IPv4, TCP: the backend sees a local address and a port that the flow's hash chooses, and answers there. The
session brings the answers back to the client."""

import nat


def build(case):
    nat.use_full_nat(case)
    case.pool("web", {"web-1": nat.BACKENDS[4]})
    case.vip("www", nat.VIPS[4], "tcp", 80, "web", "full-nat")
    nat.conversation(nat.Flow(case, "www", 4, "tcp", 80, full=True))
