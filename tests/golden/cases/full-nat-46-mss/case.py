"""Between the families the MSS is what the longer header leaves: MTU less 60, for both directions."""

import nat


def build(case):
    nat.use_full_nat(case)
    for family, inside in ((4, 6), (6, 4)):
        pool = f"web{inside}"
        case.pool(pool, {"web-1": nat.BACKENDS[inside]})
        case.vip(f"www{family}", nat.VIPS[family], "tcp", 80, pool, "full-nat")
        flow = nat.MixedFlow(case, f"www{family}", family, "tcp", 80, full=True, inside=inside, backend=f"{pool}/web-1")

        def segment(make, flags, mss):
            return make(l4_fields={"flags": flags, "ack": 1 if "A" in flags else 0, "options": [("MSS", mss)]})

        syn = segment(flow.packet, "S", 1460)
        # The id of an IPv4 packet that was IPv6 is the checksum that came.
        out = nat.translated(syn, flow.local, flow.server)
        clamped = nat.translated(segment(flow.packet, "S", 1440), flow.local, flow.server)
        if inside == 4:
            clamped.id = clamped_id(syn)
        del out
        flow.sends(syn, "scheduler", clamped)
        answer = segment(flow.reply, "SA", 1460)
        shown = nat.translated(segment(flow.reply, "SA", 1440), flow.service, flow.client)
        if family == 4:
            shown.id = clamped_id(answer)
        flow.answers(answer, shown)


def clamped_id(packet):
    """The checksum of the segment with the lowered MSS: that is what is there when it is translated."""
    from scapy.all import TCP

    lowered = packet.copy()
    lowered[TCP].options = [("MSS", 1440)]
    del lowered[TCP].chksum
    return type(lowered)(bytes(lowered))[TCP].chksum
