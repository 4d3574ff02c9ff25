"""The MSS in SYNs is lowered both ways to what the links take, MTU less 40 bytes (IPv4) or 60 (IPv6); a smaller one
stays, as does a SYN without the option, and a VIP with clamp_mss: off."""

import nat


def build(case, mode):
    full = mode == "full-nat"
    if full:
        nat.use_full_nat(case)
    case.port["mtu"] = 1400
    for family in (4, 6):
        fits = 1360 if family == 4 else 1340
        case.pool(f"web{family}", {"web-1": nat.BACKENDS[family]})
        case.vip(f"www{family}", nat.VIPS[family], "tcp", 80, f"web{family}", mode)
        case.vip(f"as-is{family}", nat.VIPS[family], "tcp", 81, f"web{family}", mode, clamp_mss=False)
        for name, port in (("www", 80), ("as-is", 81)):
            for number, mss in enumerate((9000, 1460, fits + 1, fits, 536, None)):
                flow = nat.Flow(
                    case, f"{name}{family}", family, "tcp", port, 40000 + number, full=full,
                    backend=f"web{family}/web-1"
                )
                ends = (flow.local if full else None, flow.server)
                back = (flow.service, flow.client if full else None)

                def options(value):
                    return [("NOP", None)] if value is None else [("NOP", None), ("MSS", value), ("WScale", 7)]

                lowered = mss if mss is None or name == "as-is" else min(mss, fits)
                syn, syn_out = (flow.packet(l4_fields={"flags": "S", "options": options(m)}) for m in (mss, lowered))
                flow.sends(syn, "scheduler", nat.changed(syn_out, *ends))
                answer, answer_out = (
                    flow.reply(l4_fields={"flags": "SA", "ack": 1, "options": options(m)}) for m in (mss, lowered)
                )
                flow.answers(answer, nat.changed(answer_out, *back))
