"""TCP fast open to a VIP with the PROXY protocol: data that came with the SYN would be before the header, so the
option is taken out and the data cut off; the client sends it again when only its SYN is acknowledged. The MSS that the
client is told leaves room for the header. A SYN that would be too long for the other family with its data is not so
without, whether its sender lets it be fragmented or not."""

import nat


def build(case):
    nat.use_full_nat(case)
    for family in (4, 6):
        pool = f"web{family}"
        case.pool(pool, {"web-1": nat.BACKENDS[family]})
        case.vip(f"www{family}", nat.VIPS[family], "tcp", 80, pool, "full-nat", proxy_protocol="v2")
        for number, data in enumerate((b"", b"GET /\n", b"odd")):
            flow = nat.ProxyFlow(case, f"www{family}", family, "tcp", 80, 40000 + number, backend=f"{pool}/web-1")
            options = [("MSS", 1400), (34, b"cookie12"), ("NOP", None), ("NOP", None)]
            left = [("MSS", 1400)] + [("NOP", None)] * 12
            syn = flow.packet(data, {"flags": "S", "seq": 1000, "options": options})
            out = flow.packet(b"", {"flags": "S", "seq": 1000, "options": left})
            flow.sends(syn, "scheduler", nat.changed(out, flow.local, flow.server))
            mss = 1500 - (40 if family == 4 else 60)
            flow.from_backend(
                b"", 5000, 1001, 1001, "SA", options=[("MSS", mss)], options_shown=[("MSS", mss - len(flow.header))]
            )
            flow.from_client(data, 1001, 5001, flags="PA", header=True)
    case.pool("other6", {"web-1": nat.BACKENDS[6]})
    case.vip("www46", nat.VIPS[4], "tcp", 81, "other6", "full-nat", proxy_protocol="v2")
    for number, flags in enumerate((0, "DF")):
        flow = nat.MixedFlow(case, "www46", 4, "tcp", 81, client_port=40010 + number, full=True, inside=6,
                             backend="other6/web-1")
        syn = flow.packet(b"x" * 1450, {"flags": "S", "seq": 1000}, flags=flags)
        out = flow.packet(b"", {"flags": "S", "seq": 1000}, flags=flags)
        flow.sends(syn, "scheduler", nat.translated(out, flow.local, flow.server))
