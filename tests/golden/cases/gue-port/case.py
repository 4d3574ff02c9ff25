"""Backends that receive GUE on another UDP port than 6080."""

import tunnel


def build(case):
    tunnel.build(case, "gue", 4, 6, gue_port=65535)
