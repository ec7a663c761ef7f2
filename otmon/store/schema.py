"""Tables of `site.db`, and how an older file gets them.

Assets, alerts and health keep their whole record as JSON, with columns computed from it for SQL. What is counted lies
in the order of its key, without a second index: the rows of a site are its largest part. A key knows no NULL, so its
columns hold -1 ('' where a target has no space), which the view `operations` shows as NULL.
"""

from typing import Final

SCHEMA: Final = 5

_TABLES_2: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE counters (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE endpoints (
    n INTEGER PRIMARY KEY,
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
CREATE TABLE operation_rows (
    realm TEXT NOT NULL, client TEXT NOT NULL, server TEXT NOT NULL, transport TEXT NOT NULL, port INTEGER NOT NULL,
    protocol TEXT NOT NULL, link_source INTEGER NOT NULL, link_destination INTEGER NOT NULL, unit INTEGER NOT NULL,
    function_code INTEGER NOT NULL, function TEXT NOT NULL, access TEXT NOT NULL,
    target_space TEXT NOT NULL, target_start INTEGER NOT NULL, target_end INTEGER NOT NULL, target_name NOT NULL,
    initiated_by TEXT NOT NULL,
    attempted INTEGER NOT NULL, accepted INTEGER NOT NULL, rejected INTEGER NOT NULL, partial INTEGER NOT NULL,
    unanswered INTEGER NOT NULL, unseen INTEGER NOT NULL, pending INTEGER NOT NULL, bytes INTEGER NOT NULL,
    first_ts_ns INTEGER NOT NULL, last_ts_ns INTEGER NOT NULL,
    first_input INTEGER NOT NULL, first_frame INTEGER NOT NULL,
    intervals TEXT NOT NULL, responses TEXT NOT NULL, verdict TEXT, row TEXT,
    PRIMARY KEY (
        realm, client, server, transport, port, protocol, link_source, link_destination, unit, function_code, function,
        access, target_space, target_start, target_end, target_name, initiated_by
    )
) WITHOUT ROWID;
CREATE VIEW operations AS SELECT
    realm, client, server, transport, nullif(port, -1) AS port, protocol, nullif(unit, -1) AS unit,
    nullif(link_source, -1) AS link_source, nullif(link_destination, -1) AS link_destination,
    nullif(function_code, -1) AS function_code, function, access, nullif(target_space, '') AS target_space,
    nullif(target_start, -1) AS target_start, nullif(target_end, -1) AS target_end,
    nullif(target_name, -1) AS target_name, initiated_by,
    attempted, accepted, rejected, partial, unanswered, unseen, pending, bytes, first_ts_ns, last_ts_ns,
    first_input, first_frame, intervals, responses, verdict, row
FROM operation_rows;
CREATE TABLE connections (
    first_ts_ns INTEGER NOT NULL, first_input INTEGER NOT NULL, first_frame INTEGER NOT NULL,
    realm TEXT NOT NULL, client TEXT NOT NULL, client_port INTEGER NOT NULL, server TEXT NOT NULL,
    server_port INTEGER NOT NULL, transport TEXT NOT NULL, protocol TEXT,
    assumed_roles INTEGER NOT NULL, vlans TEXT NOT NULL, last_ts_ns INTEGER NOT NULL,
    frames_client INTEGER NOT NULL, frames_server INTEGER NOT NULL,
    bytes_client INTEGER NOT NULL, bytes_server INTEGER NOT NULL,
    gaps INTEGER NOT NULL, missing_bytes INTEGER NOT NULL, one_sided INTEGER NOT NULL,
    encrypted_bytes INTEGER NOT NULL, midstream INTEGER NOT NULL,
    malformed_bytes INTEGER NOT NULL, unrecognised_bytes INTEGER NOT NULL, answer TEXT NOT NULL,
    PRIMARY KEY (
        first_ts_ns, first_input, first_frame, realm, client, client_port, server, server_port, transport
    )
) WITHOUT ROWID;
CREATE TABLE hosts (
    realm TEXT NOT NULL, address TEXT NOT NULL, first_ts_ns INTEGER NOT NULL, last_ts_ns INTEGER NOT NULL,
    frames INTEGER NOT NULL, first_input INTEGER NOT NULL, first_frame INTEGER NOT NULL, PRIMARY KEY (realm, address)
) WITHOUT ROWID;
CREATE TABLE bindings (
    realm TEXT NOT NULL, mac TEXT NOT NULL, address TEXT NOT NULL, ethertype INTEGER NOT NULL, proof INTEGER NOT NULL,
    first_ts_ns INTEGER NOT NULL, first_input INTEGER NOT NULL, first_frame INTEGER NOT NULL,
    PRIMARY KEY (realm, mac, address, ethertype, proof)
) WITHOUT ROWID;
CREATE TABLE facts (
    realm TEXT NOT NULL, address TEXT NOT NULL,
    link_source INTEGER NOT NULL, link_destination INTEGER NOT NULL, unit INTEGER NOT NULL,
    name TEXT NOT NULL, value TEXT NOT NULL, protocol TEXT NOT NULL,
    first_input INTEGER NOT NULL, first_frame INTEGER NOT NULL, ts_ns INTEGER NOT NULL, confidence REAL NOT NULL,
    PRIMARY KEY (realm, address, link_source, link_destination, unit, name, value, protocol)
) WITHOUT ROWID;
CREATE TABLE alerts (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, record TEXT NOT NULL,
    kind TEXT GENERATED ALWAYS AS (json_extract(record, '$.kind')) VIRTUAL,
    severity TEXT GENERATED ALWAYS AS (json_extract(record, '$.severity')) VIRTUAL,
    title TEXT GENERATED ALWAYS AS (json_extract(record, '$.title')) VIRTUAL,
    count INTEGER GENERATED ALWAYS AS (json_extract(record, '$.count')) VIRTUAL,
    first_ts_ns INTEGER GENERATED ALWAYS AS (json_extract(record, '$.first_ts_ns')) VIRTUAL,
    last_ts_ns INTEGER GENERATED ALWAYS AS (json_extract(record, '$.last_ts_ns')) VIRTUAL
);
CREATE TABLE episodes (
    id TEXT PRIMARY KEY, first_ts_ns INTEGER NOT NULL, last_ts_ns INTEGER NOT NULL, state TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE health (n INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, record TEXT NOT NULL);
"""
_TABLES_3: Final = """
ALTER TABLE alerts ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
CREATE TABLE spool (
    n INTEGER PRIMARY KEY, stream TEXT NOT NULL, sequence INTEGER NOT NULL, id TEXT NOT NULL, ts_ns INTEGER NOT NULL,
    record TEXT NOT NULL
);
CREATE UNIQUE INDEX spool_by_sequence ON spool (stream, sequence);
CREATE TABLE streams (
    stream TEXT PRIMARY KEY, sequence INTEGER NOT NULL, records INTEGER NOT NULL, bytes INTEGER NOT NULL,
    shed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE told (id TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE decisions (
    n INTEGER PRIMARY KEY, file TEXT NOT NULL, alert TEXT NOT NULL, decision TEXT NOT NULL, person TEXT NOT NULL,
    ts_ns INTEGER NOT NULL, taken_ns INTEGER NOT NULL, until_ns INTEGER, note TEXT NOT NULL, ticket TEXT
);
CREATE INDEX decisions_by_file ON decisions (file);
"""
"""The spool: what waits for sinks. `streams`: the last sequence number, what waits and what was shed of each stream;
`told`: what was last spooled of an asset. `decisions`: what people decided about alerts, and the signature of the file
that said so.
"""
_TABLES_4: Final = """
CREATE TABLE blocks (
    realm TEXT NOT NULL, server TEXT NOT NULL, protocol TEXT NOT NULL,
    link_source INTEGER NOT NULL, link_destination INTEGER NOT NULL, unit INTEGER NOT NULL,
    kind TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, file_system TEXT NOT NULL,
    direction TEXT NOT NULL, client TEXT NOT NULL, state TEXT NOT NULL, length INTEGER NOT NULL, sha256 TEXT NOT NULL,
    first_ts_ns INTEGER NOT NULL, last_ts_ns INTEGER NOT NULL,
    first_input INTEGER NOT NULL, first_frame INTEGER NOT NULL,
    last_input INTEGER NOT NULL, last_frame INTEGER NOT NULL, transfers INTEGER NOT NULL, before TEXT,
    PRIMARY KEY (
        realm, server, protocol, link_source, link_destination, unit, kind, number, name, file_system, direction,
        client, state, length, sha256
    )
) WITHOUT ROWID;
CREATE TABLE habits (
    realm TEXT NOT NULL, address TEXT NOT NULL, protocol TEXT NOT NULL, kind TEXT NOT NULL, signatures TEXT NOT NULL,
    last_ts_ns INTEGER NOT NULL, PRIMARY KEY (realm, address, protocol, kind)
) WITHOUT ROWID;
"""
"""Blocks of controller logic that were moved; `before`: the sha256 that the block had until then. Habits of clients."""
_AUDIT: Final = """
CREATE TABLE audit (
    n INTEGER PRIMARY KEY AUTOINCREMENT, hash TEXT NOT NULL, entry TEXT NOT NULL
);
CREATE INDEX audit_by_action ON audit (json_extract(entry, '$.action'));
CREATE INDEX audit_by_file ON audit (json_extract(entry, '$.detail.file'));
"""
_TABLES_5: Final = """
DROP TABLE decisions;
CREATE VIEW decisions AS SELECT
    n, json_extract(entry, '$.detail.file') AS file, json_extract(entry, '$.detail.alert') AS alert,
    json_extract(entry, '$.detail.decision') AS decision, json_extract(entry, '$.detail.by') AS person,
    json_extract(entry, '$.detail.decided') AS decided, json_extract(entry, '$.detail.until') AS until,
    ifnull(json_extract(entry, '$.detail.note'), '') AS note, json_extract(entry, '$.detail.ticket') AS ticket
FROM audit
WHERE json_extract(entry, '$.action') IN ('alert_acknowledged', 'alert_closed', 'alert_accepted', 'alert_noted')
    AND json_extract(entry, '$.detail.alert') IN (SELECT id FROM alerts);
CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'entries of the audit log are only added'); END;
CREATE TRIGGER audit_never_shrinks BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'entries of the audit log are only added'); END;
CREATE TABLE permitted (
    ticket TEXT NOT NULL, row TEXT NOT NULL, operation TEXT NOT NULL,
    attempted INTEGER NOT NULL, accepted INTEGER NOT NULL, rejected INTEGER NOT NULL, partial INTEGER NOT NULL,
    unanswered INTEGER NOT NULL, unseen INTEGER NOT NULL, pending INTEGER NOT NULL, bytes INTEGER NOT NULL,
    first_ts_ns INTEGER NOT NULL, last_ts_ns INTEGER NOT NULL, PRIMARY KEY (ticket, row, operation)
) WITHOUT ROWID;
CREATE TABLE permit_writes (
    ticket TEXT NOT NULL, row TEXT NOT NULL, operation TEXT NOT NULL, first_value REAL NOT NULL,
    last_value REAL NOT NULL, times INTEGER NOT NULL, first_ts_ns INTEGER NOT NULL, last_ts_ns INTEGER NOT NULL,
    PRIMARY KEY (ticket, row, operation)
) WITHOUT ROWID;
"""
"""The audit log, whose AUTOINCREMENT remembers how long it once was; decisions are entries of it. What was done under
permits: operations as in operations.jsonl, by ticket and row, and the values that they set.
"""
TABLES: Final = _TABLES_2 + _TABLES_3 + _TABLES_4 + _AUDIT + _TABLES_5

TABLE_NAMES: Final = {
    1: frozenset({"meta", "endpoints", "assets", "operations", "connections", "alerts"}),
    2: frozenset(
        {
            *("meta", "counters", "endpoints", "assets", "operation_rows", "connections", "hosts", "bindings"),
            *("facts", "alerts", "episodes", "health"),
        }
    ),
}
TABLE_NAMES[3] = TABLE_NAMES[2] | {"spool", "streams", "told", "decisions"}
TABLE_NAMES[4] = TABLE_NAMES[3] | {"blocks", "habits"}
TABLE_NAMES[5] = TABLE_NAMES[4] - {"decisions"} | {"audit", "permitted", "permit_writes", "sqlite_sequence"}
"""What a whole file of each schema has."""

MIGRATIONS: Final = {
    # Schema 1 kept no hosts, bindings, facts and counters: they begin with the next traffic.
    1: f"""
DROP INDEX endpoints_by_address;
ALTER TABLE meta RENAME TO meta_1;
ALTER TABLE endpoints RENAME TO endpoints_1;
ALTER TABLE assets RENAME TO assets_1;
ALTER TABLE operations RENAME TO operations_1;
ALTER TABLE connections RENAME TO connections_1;
ALTER TABLE alerts RENAME TO alerts_1;
{_TABLES_2}
INSERT INTO meta SELECT * FROM meta_1;
INSERT INTO endpoints SELECT NULL, * FROM endpoints_1 ORDER BY rowid;
INSERT INTO assets (n, record) SELECT n, record FROM assets_1;
INSERT INTO operation_rows SELECT
    realm, client, server, transport, ifnull(port, -1), protocol, ifnull(link_source, -1),
    ifnull(link_destination, -1), ifnull(unit, -1), ifnull(function_code, -1), function, access,
    ifnull(target_space, ''), ifnull(target_start, -1), ifnull(target_end, -1), ifnull(target_name, -1), initiated_by,
    attempted, accepted, rejected, partial, unanswered, unseen, pending, bytes, first_ts_ns, last_ts_ns,
    first_input, first_frame, intervals, responses, verdict, row
FROM operations_1;
INSERT OR REPLACE INTO connections SELECT
    first_ts_ns, first_input, first_frame, realm, client, ifnull(client_port, -1), server, ifnull(server_port, -1),
    transport, protocol, assumed_roles, vlans, last_ts_ns, frames_client, frames_server, bytes_client, bytes_server,
    gaps, missing_bytes, one_sided, encrypted_bytes, midstream, malformed_bytes, unrecognised_bytes, answer
FROM connections_1;
INSERT OR REPLACE INTO alerts (n, id, record) SELECT n, id, record FROM alerts_1;
DROP TABLE meta_1;
DROP TABLE endpoints_1;
DROP TABLE assets_1;
DROP TABLE operations_1;
DROP TABLE connections_1;
DROP TABLE alerts_1;
UPDATE meta SET value = '2' WHERE key = 'schema';
""",
    # UMAS was one function with a target for each of its services.
    2: f"""{_TABLES_3}
UPDATE operation_rows SET
    function = 'umas_' || target_name,
    access = CASE
        WHEN target_name IN ('init_comm', 'read_id', 'read_project_info', 'read_plc_info', 'read_card_info')
        THEN 'identify'
        WHEN target_name IN (
            'read_memory_block', 'read_variables', 'read_coils_registers', 'read_eth_master_data', 'monitor_plc',
            'read_io_object'
        ) THEN 'read'
        WHEN target_name IN ('write_variables', 'write_coils_registers', 'write_io_object') THEN 'write'
        WHEN target_name IN ('start_plc', 'stop_plc') THEN 'control'
        WHEN target_name IN ('repeat', 'check_plc', 'get_module_status') THEN 'diagnose'
        ELSE 'program' END,
    target_space = '', target_name = -1
WHERE protocol = 'modbus' AND function = 'umas' AND target_space = 'service';
UPDATE meta SET value = '3' WHERE key = 'schema';
""",
    3: f"""{_TABLES_4}
UPDATE meta SET value = '4' WHERE key = 'schema';
""",
    # Decisions lay beside; the functions are those of otmon.store.migrate, which sees the rows in their order.
    4: f"""{_AUDIT}
INSERT INTO audit (hash, entry) SELECT next_hash(entry), entry FROM (
    SELECT decision_entry(alert, decision, person, ts_ns, until_ns, note, ticket, file, taken_ns) AS entry
    FROM decisions ORDER BY n
);
{_TABLES_5}
UPDATE meta SET value = '5' WHERE key = 'schema';
""",
}
"""Schema -> what makes the next one of it. A step never changes once it is released: later ones come after it."""
