"""Backends that expect the VIP's packets on ports of their own: two of one pool on different ports, in both families
and both kinds of NAT; the client sees the VIP's port."""

import kit
import nat


def build(case):
    nat.use_full_nat(case)
    for family in (4, 6):
        case.pool(f"web{family}", {"web-1": {"address": nat.BACKENDS[family], "port": 8000 + family}})
        for name, protocol, port, mode in (
            ("tcp", "tcp", 80, "nat"),
            ("udp", "udp", 80, "nat"),
            ("tcp-full", "tcp", 81, "full-nat"),
            ("udp-full", "udp", 81, "full-nat"),
        ):
            vip = f"{name}{family}"
            case.vip(vip, nat.VIPS[family], protocol, port, f"web{family}", mode)
            full = mode == "full-nat"
            backend = f"web{family}/web-1"
            nat.conversation(
                nat.Flow(case, vip, family, protocol, port, backend_port=8000 + family, full=full, backend=backend)
            )
