"""Full NAT has no way for a TCP segment of a connection that it does not know: whatever is not a SYN is dropped and
makes no session, in both families. After the SYN the same segments go."""

import kit
import nat


def build(case):
    nat.use_full_nat(case)
    for family in (4, 6):
        case.pool(f"web{family}", {"web-1": nat.BACKENDS[family]})
        case.vip(f"www{family}", nat.VIPS[family], "tcp", 80, f"web{family}", "full-nat")
        flow = nat.Flow(case, f"www{family}", family, "tcp", 80, full=True, backend=f"web{family}/web-1")
        for flags in ("A", "PA", "FA", "R", "SA", "SF", ""):
            packet = flow.packet(b"", {"flags": flags, "seq": 7, "ack": 9})
            case.send(kit.ether_in() / packet).dropped("nat_no_session", f"www{family}")
        flow.sends(flow.packet(l4_fields={"flags": "S", "seq": 6}), "scheduler")
        flow.sends(flow.packet(l4_fields={"flags": "A", "seq": 7, "ack": 9}), "connection_table")
