"""TCP fast open with more data than a packet buffer holds, from a network of larger packets than the port was set to,
to a VIP with the PROXY protocol: the data would have to be cut off, and what they make of the checksum lies in another
buffer. Such a SYN is dropped, and the client's next one comes without data. One whose data end with the first buffer
loses them, as others do."""

import kit
import nat

BUFFER_BYTES = 2048  # the default: enough for the port's 1 500


def build(case):
    nat.use_full_nat(case)
    case.node["memory"] = {"mbuf_data_bytes": BUFFER_BYTES}
    for family in (4, 6):
        pool = f"web{family}"
        case.pool(pool, {"web-1": nat.BACKENDS[family]})
        case.vip(f"www{family}", nat.VIPS[family], "tcp", 80, pool, "full-nat", proxy_protocol="v2")
        headers = 14 + (20 if family == 4 else 40) + 20
        for number, size in enumerate((BUFFER_BYTES - headers, BUFFER_BYTES - headers + 1, 8000)):
            flow = nat.ProxyFlow(case, f"www{family}", family, "tcp", 80, 40000 + number, backend=f"{pool}/web-1")
            syn = {"flags": "S", "seq": 1000}
            bare = nat.changed(flow.packet(b"", syn), flow.local, flow.server)
            rung = "scheduler"
            if headers + size > BUFFER_BYTES:
                case.send(kit.ether_in() / flow.packet(b"x" * size, syn)).dropped(
                    "nat_unreadable", flow.vip, flow.backend, rung)
                rung = "connection_table"
                flow.sends(flow.packet(b"", syn), rung, bare)
            else:
                flow.sends(flow.packet(b"x" * size, syn), rung, bare)
            flow.from_backend(b"", 5000, 1001, 1001, flags="SA")
            flow.from_client(b"x" * 100, 1001, 5001, flags="PA", header=True)
