"""Backends that receive GUE, variant 1, on another UDP port than 6080."""

import tunnel


def build(case):
    tunnel.build(case, "gue-direct", 4, 6, gue_port=65535)
