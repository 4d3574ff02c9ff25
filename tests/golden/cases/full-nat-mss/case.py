"""The MSS in SYNs is lowered both ways to what the links take, with mode full-nat."""

import mss


def build(case):
    mss.build(case, "full-nat")
