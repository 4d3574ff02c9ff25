"""Full NAT between the families (RFC 7915): IPv6 clients, IPv4 backends, TCP and UDP, with another backend port too."""

import nat


def build(case):
    nat.use_full_nat(case)
    case.pool("web", {"web-1": nat.BACKENDS[4]})
    case.pool("mapped", {"web-1": {"address": nat.BACKENDS[4], "port": 8080}})
    for protocol in ("tcp", "udp"):
        for pool, port, backend_port in (("web", 80, 80), ("mapped", 81, 8080)):
            vip = f"{protocol}-{pool}"
            case.vip(vip, nat.VIPS[6], protocol, port, pool, "full-nat")
            nat.conversation(
                nat.MixedFlow(case, vip, 6, protocol, port, backend_port=backend_port, full=True, inside=4,
                              backend=f"{pool}/web-1")
            )
