"""A client that talks to two VIPs of one backend port from the same port of its own: with destination NAT the backend
could not tell the second flow from the first, so that is dropped; from another port it goes."""

import kit
import nat


def build(case):
    for family in (4, 6):
        case.pool(f"web{family}", {"web-1": {"address": nat.BACKENDS[family], "port": 8080}})
        for port in (80, 81):
            case.vip(f"www{port}-{family}", nat.VIPS[family], "tcp", port, f"web{family}", "nat")

        def flow(port, client_port):
            return nat.Flow(case, f"www{port}-{family}", family, "tcp", port, client_port, backend_port=8080,
                            backend=f"web{family}/web-1")

        first, clash, other = flow(80, 40000), flow(81, 40000), flow(81, 40001)
        first.sends(first.packet(), "scheduler")
        case.send(kit.ether_in() / clash.packet()).dropped("nat_tuple_in_use", clash.vip)
        other.sends(other.packet(), "scheduler")
        first.sends(first.packet(l4_fields={"flags": "A"}), "connection_table")
