"""Secure authentication (IEEE 1815-2012, clause 7 and A.45: group 120), and what its codes mean."""

from typing import Final

from otmon.protocols.dnp3.readers import Reader, fixed, labelled, tailed

MAC_ALGORITHMS: Final = {
    0: "none",
    1: "hmac_sha1_4",
    2: "hmac_sha1_10",
    3: "hmac_sha256_8",
    4: "hmac_sha256_16",
    5: "hmac_sha1_8",
    6: "aes_gmac",
}
"""The number is that of the octets the value is cut to."""
WRAP_ALGORITHMS: Final = {1: "aes_128", 2: "aes_256"}
KEY_STATUS: Final = {1: "ok", 2: "not_initialised", 3: "communication_failed", 4: "authentication_failed"}
REASONS: Final = {1: "critical"}
ERRORS: Final = {
    1: "authentication_failed",
    2: "unexpected_response",
    3: "no_response",
    4: "aggressive_mode_not_supported",
    5: "mac_algorithm_not_supported",
    6: "key_wrap_algorithm_not_supported",
    7: "authorization_failed",
    8: "update_key_change_method_not_permitted",
    9: "invalid_signature",
    10: "invalid_certification_data",
    11: "unknown_user",
    12: "too_many_session_key_status_requests",
}
CHANGE_METHODS: Final = {
    3: "aes_128_sha1_hmac",
    4: "aes_256_sha256_hmac",
    5: "aes_256_aes_gmac",
    67: "rsa_1024_dsa_sha1_hmac_sha1",
    68: "rsa_2048_dsa_sha256_hmac_sha256",
    69: "rsa_3072_dsa_sha256_hmac_sha256",
    70: "rsa_2048_dsa_sha256_aes_gmac",
    71: "rsa_3072_dsa_sha256_aes_gmac",
}
CERTIFICATES: Final = {1: "id_certificate", 2: "attribute_certificate"}
USER_OPERATIONS: Final = {1: "add", 2: "delete", 3: "change"}
USER_ROLES: Final = {
    0: "viewer",
    1: "operator",
    2: "engineer",
    3: "installer",
    4: "security_administrator",
    5: "security_auditor",
    6: "rbac_manager",
    32768: "single_user",
}
STATISTICS: Final = (
    "unexpected_messages",
    "authorization_failures",
    "authentication_failures",
    "reply_timeouts",
    "rekeys_after_authentication_failure",
    "messages_sent",
    "messages_received",
    "critical_messages_sent",
    "critical_messages_received",
    "discarded_messages",
    "error_messages_sent",
    "error_messages_received",
    "successful_authentications",
    "session_key_changes",
    "failed_session_key_changes",
    "update_key_changes",
    "failed_update_key_changes",
    "rekeys_after_restart",
)
"""Security statistics (groups 121 and 122) by point index."""

SECURITY: Final[dict[tuple[int, int], Reader]] = {
    (120, 1): labelled(
        fixed("IHBB", "sequence", "user", "mac_algorithm", "reason", rest="challenge"),
        mac_algorithm=MAC_ALGORITHMS,
        reason=REASONS,
    ),
    (120, 2): fixed("IH", "sequence", "user", rest="mac"),
    (120, 3): fixed("IH", "sequence", "user"),
    (120, 4): fixed("H", "user"),
    (120, 5): labelled(
        fixed(
            "IHBBBH",
            "sequence",
            "user",
            "wrap_algorithm",
            "key_status",
            "mac_algorithm",
            "challenge_bytes",
            rest="data",
        ),
        wrap_algorithm=WRAP_ALGORITHMS,
        key_status=KEY_STATUS,
        mac_algorithm=MAC_ALGORITHMS,
    ),
    (120, 6): fixed("IH", "sequence", "user", rest="wrapped_keys"),
    (120, 7): labelled(
        fixed("IHHB6s", "sequence", "user", "association", "error_code", "time_ms", rest="error_text", text=True),
        error_code=ERRORS,
    ),
    (120, 8): labelled(
        fixed("BB", "change_method", "certificate_type", rest="certificate"),
        change_method=CHANGE_METHODS,
        certificate_type=CERTIFICATES,
    ),
    (120, 9): fixed("", rest="mac"),
    (120, 10): labelled(
        tailed(
            "BBIHHHHH",
            "change_method",
            "operation",
            "sequence",
            "role",
            "role_days",
            "user_name_bytes",
            "public_key_bytes",
            "certification_bytes",
            tails={"user_name": True, "public_key": False, "certification": False},
        ),
        change_method=CHANGE_METHODS,
        operation=USER_OPERATIONS,
        role=USER_ROLES,
    ),
    (120, 11): labelled(
        tailed(
            "BHH",
            "change_method",
            "user_name_bytes",
            "challenge_bytes",
            tails={"user_name": True, "challenge": False},
        ),
        change_method=CHANGE_METHODS,
    ),
    (120, 12): tailed("IHH", "sequence", "user", "challenge_bytes", tails={"challenge": False}),
    (120, 13): tailed("IHH", "sequence", "user", "update_key_bytes", tails={"update_key": False}),
    (120, 14): fixed("", rest="signature"),
    (120, 15): fixed("", rest="mac"),
}
