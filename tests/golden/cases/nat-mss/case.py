"""The MSS in SYNs is lowered both ways to what the links take, with mode nat."""

import mss


def build(case):
    mss.build(case, "nat")
