"""Tables of `site.db`. Assets and alerts keep their whole record as JSON, with columns computed from it for SQL."""

from typing import Final

SCHEMA: Final = 1

TABLES: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE endpoints (
    realm TEXT NOT NULL, address TEXT NOT NULL, protocol TEXT, unit INTEGER,
    asset TEXT, zone TEXT, name TEXT, roles TEXT NOT NULL
);
CREATE INDEX endpoints_by_address ON endpoints (address);
CREATE TABLE assets (
    n INTEGER PRIMARY KEY, record TEXT NOT NULL,
    id TEXT GENERATED ALWAYS AS (json_extract(record, '$.id')) VIRTUAL,
    name TEXT GENERATED ALWAYS AS (json_extract(record, '$.name')) VIRTUAL,
    zone TEXT GENERATED ALWAYS AS (json_extract(record, '$.zone')) VIRTUAL,
    level REAL GENERATED ALWAYS AS (json_extract(record, '$.level')) VIRTUAL,
    roles TEXT GENERATED ALWAYS AS (json_extract(record, '$.roles')) VIRTUAL,
    first_ts_ns INTEGER GENERATED ALWAYS AS (json_extract(record, '$.first_ts_ns')) VIRTUAL,
    last_ts_ns INTEGER GENERATED ALWAYS AS (json_extract(record, '$.last_ts_ns')) VIRTUAL
);
CREATE TABLE operations (
    n INTEGER PRIMARY KEY,
    realm TEXT NOT NULL, client TEXT NOT NULL, server TEXT NOT NULL, transport TEXT NOT NULL, port INTEGER,
    protocol TEXT NOT NULL, unit INTEGER, link_source INTEGER, link_destination INTEGER,
    function_code INTEGER, function TEXT NOT NULL, access TEXT NOT NULL,
    target_space TEXT, target_start INTEGER, target_end INTEGER, target_name TEXT, initiated_by TEXT NOT NULL,
    attempted INTEGER NOT NULL, accepted INTEGER NOT NULL, rejected INTEGER NOT NULL, partial INTEGER NOT NULL,
    unanswered INTEGER NOT NULL, unseen INTEGER NOT NULL, pending INTEGER NOT NULL, bytes INTEGER NOT NULL,
    first_ts_ns INTEGER NOT NULL, last_ts_ns INTEGER NOT NULL,
    first_input INTEGER NOT NULL, first_frame INTEGER NOT NULL,
    intervals TEXT NOT NULL, responses TEXT NOT NULL, verdict TEXT, row TEXT
);
CREATE TABLE connections (
    n INTEGER PRIMARY KEY,
    realm TEXT NOT NULL, client TEXT NOT NULL, client_port INTEGER, server TEXT NOT NULL, server_port INTEGER,
    transport TEXT NOT NULL, protocol TEXT, assumed_roles INTEGER NOT NULL, vlans TEXT NOT NULL,
    first_ts_ns INTEGER NOT NULL, last_ts_ns INTEGER NOT NULL,
    first_input INTEGER NOT NULL, first_frame INTEGER NOT NULL,
    frames_client INTEGER NOT NULL, frames_server INTEGER NOT NULL,
    bytes_client INTEGER NOT NULL, bytes_server INTEGER NOT NULL,
    gaps INTEGER NOT NULL, missing_bytes INTEGER NOT NULL, one_sided INTEGER NOT NULL,
    encrypted_bytes INTEGER NOT NULL, midstream INTEGER NOT NULL,
    malformed_bytes INTEGER NOT NULL, unrecognised_bytes INTEGER NOT NULL, answer TEXT NOT NULL
);
CREATE TABLE alerts (
    n INTEGER PRIMARY KEY, record TEXT NOT NULL,
    id TEXT GENERATED ALWAYS AS (json_extract(record, '$.id')) VIRTUAL,
    kind TEXT GENERATED ALWAYS AS (json_extract(record, '$.kind')) VIRTUAL,
    severity TEXT GENERATED ALWAYS AS (json_extract(record, '$.severity')) VIRTUAL,
    title TEXT GENERATED ALWAYS AS (json_extract(record, '$.title')) VIRTUAL,
    count INTEGER GENERATED ALWAYS AS (json_extract(record, '$.count')) VIRTUAL,
    first_ts_ns INTEGER GENERATED ALWAYS AS (json_extract(record, '$.first_ts_ns')) VIRTUAL,
    last_ts_ns INTEGER GENERATED ALWAYS AS (json_extract(record, '$.last_ts_ns')) VIRTUAL
);
"""
