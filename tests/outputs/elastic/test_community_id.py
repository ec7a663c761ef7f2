"""Community IDs are those that the specification and its reference implementation publish."""

import pytest

from otmon.outputs.elastic.communityid import ICMP, ICMP6, SCTP, TCP, UDP, community_id

LONG = "2001:470:e5bf:dead:4957:2174:e82c:4887"
ONE, OTHER = "3ffe:507:0:1:200:86ff:fe05:80da", "3ffe:507:0:1:260:97ff:fe07:69ea"
# corelight/community-id-spec, baseline/baseline_deflt.json, and corelight/pycommunityid, tests/communityid_test.py
PUBLISHED = [
    (TCP, "128.232.110.120", "66.35.250.204", 34855, 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
    (TCP, "66.35.250.204", "128.232.110.120", 80, 34855, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
    (TCP, "10.0.0.1", "10.0.0.2", 10, 11569, "1:SXBGMX1lBOwhhoDrZynfROxnhnM="),
    (TCP, "2607:f8b0:400c:c03::1a", LONG, 25, 63943, "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="),
    (UDP, "192.168.1.52", "8.8.8.8", 54585, 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
    (UDP, "8.8.8.8", "192.168.1.52", 53, 54585, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
    (SCTP, "192.168.170.8", "192.168.170.56", 7, 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
    (SCTP, "192.168.170.8", "192.168.170.56", 7, 80, "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ="),
    (ICMP, "192.168.0.89", "192.168.0.1", 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
    (ICMP, "192.168.0.1", "192.168.0.89", 0, 8, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
    (ICMP, "192.168.0.1", "192.168.0.89", 0, 20, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
    (ICMP, "10.0.0.1", "10.0.0.2", 11, 0, "1:YHxtAirCG//0OzkcVAukqKQN9xM="),
    (ICMP, "192.168.0.89", "192.168.0.1", 20, 0, "1:3o2RFccXzUgjl7zDpqmY7yJi8rI="),
    (ICMP, "192.168.0.89", "192.168.0.1", 20, 1, "1:tz/fHIDUHs19NkixVVoOZywde+I="),
    (ICMP6, "fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", 135, 0, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
    (ICMP6, "fe80::260:97ff:fe07:69ea", "fe80::200:86ff:fe05:80da", 136, 0, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
    (ICMP6, OTHER, ONE, 3, 0, "1:NdobDX8PQNJbAyfkWxhtL2Pqp5w="),
    (ICMP6, ONE, OTHER, 3, 0, "1:/OGBt9BN1ofenrmSPWYicpij2Vc="),
    (ICMP6, ONE, "3ffe:501:0:1001::2", 128, 129, "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="),
    (ICMP6, "fe80::200:86ff:fe05:80da", "ff02::2", 133, 134, "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="),
    (46, "10.1.12.1", "10.1.12.2", None, None, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
    (46, "10.1.24.4", "10.1.12.1", None, None, "1:/nQI4Rh/TtY3mf0R2gJFBkVlgS4="),
]  # fmt: skip


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda case: f"{case[0]}-{case[1]}-{case[3]}")
def test_published_ids(case: tuple[int, str, str, int | None, int | None, str]) -> None:
    *flow, expected = case
    assert community_id(*flow) == expected  # type: ignore[arg-type] # a row of the table


def test_another_seed() -> None:
    assert community_id(TCP, "128.232.110.120", "66.35.250.204", 34855, 80, 1) == "1:3V71V58M3Ksw/yuFALMcW0LAHvc="


def test_what_is_no_flow_has_none() -> None:
    assert community_id(TCP, "10.0.0.1", "00:80:f4:0e:11:22", 1, 2) is None
    assert community_id(TCP, "10.0.0.1", "fe80::1", 1, 2) is None
    assert community_id(TCP, "10.0.0.1", "10.0.0.2", None, 502) is None
    assert community_id(TCP, "*", "*", 1, 2) is None
    assert community_id(256, "10.0.0.1", "10.0.0.2", None, None) is None
    assert community_id(TCP, "10.0.0.1", "10.0.0.2", 1, 65_536) is None


def test_ports_decide_between_equal_addresses() -> None:
    assert community_id(TCP, "10.0.0.1", "10.0.0.1", 2, 1) == community_id(TCP, "10.0.0.1", "10.0.0.1", 1, 2)
