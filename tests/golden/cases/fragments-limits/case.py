"""Fragments that wait are bounded in number and time, and so are the packets that are followed; a new packet may have
the id of one whose time is over."""

import fragments
import kit

HELD, PACKETS, TIMEOUT_S = 3, 8, 4


def build(case):
    case.node["fragments"] = {"packets": PACKETS, "held": HELD, "timeout_s": TIMEOUT_S}
    fragments.pools(case)
    for family in (4, 6):
        limits(case, family)
        case.wait(TIMEOUT_S + 1)


def limits(case, family):
    flow = fragments.Flow(case, family, "ipip", family)

    def parts_of(ident):
        packet = fragments.whole(family, flow.l4, flow.port, 2000, ident)
        return packet, fragments.cut(packet, 800, ident)

    # The buffer is full: what comes after it is dropped, and later there is room again.
    waiting = [case.send(kit.ether_in() / parts_of(ident)[1][1]).held() for ident in range(HELD)]
    case.send(kit.ether_in() / parts_of(HELD)[1][1]).dropped("fragment_buffer_full")
    case.wait(TIMEOUT_S + 1)
    for packet in waiting:
        packet.timed_out()
    packet, parts = parts_of(0)
    flow.send(packet, parts, [1, 0, 2])

    # The table is full with packets whose rest does not come.
    for ident in range(100, 100 + PACKETS):
        packet, parts = parts_of(ident)
        flow.send(packet, parts, [0])
    packet, parts = parts_of(200)
    case.send(kit.ether_in() / parts[0]).dropped("fragment_table_full")
    case.send(kit.ether_in() / parts[1]).dropped("fragment_table_full")
    case.wait(TIMEOUT_S + 1)
    flow.send(packet, parts, [0, 1, 2])
    # Nothing of it comes any more: it waits to the end.
    last = case.send(kit.ether_in() / parts_of(300)[1][1]).held()
    if family == 4:
        last.timed_out()
