"""Every cap on anything that can grow: value, reason, precedent.

Reaching a cap is counted and said; nothing is dropped in silence.
"""

from typing import Final

# --- capture files -------------------------------------------------------------------------------------------------
MAX_FRAME_BYTES: Final = 262_144
"""A longer record is damage, not traffic (tshark's own bound)."""
READ_BUFFER_BYTES: Final = 4 * 1024 * 1024
"""One reused read buffer per input; larger ones leave the cache without being faster."""
MAX_PCAPNG_BLOCK_BYTES: Final = 16 * 1024 * 1024
MAX_PCAPNG_INTERFACES: Final = 256
BATCH_FRAMES: Final = 32_768
"""Most frames in one Batch: bounds the record table (32 bytes a frame)."""
CLOCK_JUMP_NS: Final = 86_400 * 1_000_000_000
"""A frame further than a day from both neighbours has a broken time stamp (DESIGN 1)."""
HASH_BYTES: Final = 64 * 1024 * 1024
"""Inputs up to this size are hashed without being asked."""

# --- live capture --------------------------------------------------------------------------------------------------
RING_BLOCKS: Final = 64
RING_BLOCK_BYTES: Final = 1024 * 1024
"""64 MiB of kernel memory: 0.8 s of 78-byte frames at 534,000 a second, 0.13 s of 1,400-byte ones at 4 Gbit/s."""
CLOCK_STEP_NS: Final = 1_000_000_000
"""The machine's clock was set back if a frame is earlier by more (frames of several cores differ by microseconds)."""
MAX_CLOCK_STEPS: Final = 256
"""Steps of the machine's clock that are listed one by one; all are counted."""
MAX_JOBS: Final = 16
"""Processes of one sensor: each frame is offered to the ring of every one (0.1 us each). Tables of the compiled path
are so many times smaller in each."""
SNIFF_QUEUE_BYTES: Final = 4 * 1024 * 1024
"""Frames waiting where there is no ring; beyond, they are counted as dropped."""

# --- link and network layers ---------------------------------------------------------------------------------------
MAX_LINK_LAYERS: Final = 16
"""Tags, labels and tunnel headers taken off one frame before it is called unsupported."""
MAX_IPV6_EXTENSIONS: Final = 8
MAX_FRAGMENT_DATAGRAMS: Final = 4_096
"""Incomplete datagrams held (Suricata: 65,535 trackers; a plant sees none)."""
MAX_FRAGMENTS_PER_DATAGRAM: Final = 64
FRAGMENT_TIMEOUT_NS: Final = 30 * 1_000_000_000

# --- tables of the compiled path -----------------------------------------------------------------------------------
MAX_CONNECTIONS: Final = 262_144
"""Connection rows (both directions); beyond, frames of new connections are shed and counted."""
MAX_HOSTS6: Final = 65_536
"""IPv6 addresses with a number of their own."""
MAX_SHAPES: Final = 131_072
"""Shape rows; the table is a cache of what traffic means."""
MAX_SHAPES_PER_FUNCTION: Final = 4_096
"""Shapes of one (client, server, unit, function); further ones fold into one wide shape (DESIGN 1)."""
WIDE_SHAPES: Final = 16_384
"""Rows of the shape table kept for wide shapes, into which everything folds when the others are used up."""
MAX_KEY_WORDS: Final = 224
"""Words of one shape's key; a longer key is judged message by message."""
ARENA_WORDS: Final = 4 * 1024 * 1024
"""Words of all long keys together."""
MAX_PENDING_PER_CONNECTION: Final = 64
"""Unanswered requests remembered (Modbus recommends at most 16 outstanding; Suricata's flood limit is 500)."""
MAX_PENDING: Final = 262_144
RESPONSE_TIMEOUT_NS: Final = 5 * 1_000_000_000
"""A request younger than this at the end of a capture is pending, not unanswered."""
ANSWER_BY_NS: Final = 300 * 1_000_000_000
"""A request this old is given up when its connection answers others: each of their responses would have to pass it."""
MAX_PDU_BYTES: Final = 8_192
"""Longest unit carried over segment ends or assembled from fragments (S7 negotiates 240-960, DNP3 at most 2,048)."""
MAX_INTERLEAVED: Final = 8
"""Fragments of different link addresses assembled at a time in one direction of a connection (outstations behind one
terminal server)."""
MAX_CARRY_SLOTS: Final = 2_048
MAX_BINDINGS: Final = 65_536
"""(MAC, address or ethertype) pairs remembered from the link."""

# --- streams -------------------------------------------------------------------------------------------------------
MAX_HELD_SEGMENTS: Final = 64
"""Out-of-order segments held for one direction (Suricata: 8 regions)."""
MAX_HELD_BYTES: Final = 65_536
HOLE_TIMEOUT_NS: Final = 2 * 1_000_000_000
"""A hole that was not filled by then is a loss: retransmission timers start at 1 s (RFC 6298)."""
IDENTIFY_BYTES: Final = 4_096
"""Held per direction until a stream is identified (DESIGN 4)."""
MAX_IDENTIFYING: Final = 4_096
"""Connections in that state at once."""

# --- ageing (a sensor's tables; a capture's run is over before) ------------------------------------------------------
CLOSED_IDLE_NS: Final = 60 * 1_000_000_000
"""After FIN or RST: late retransmissions still belong to it (RFC 9293 3.4.2 waits two minutes, stacks one)."""
PLAIN_IDLE_NS: Final = 600 * 1_000_000_000
"""Of no control protocol (Zeek: 5 minutes for TCP, 1 for UDP)."""
OPEN_IDLE_NS: Final = 3 * 3_600 * 1_000_000_000
"""The same for TCP that was answered: a keep-alive comes after two hours (RFC 9293 3.8.4)."""
CROWDED_IDLE_NS: Final = 10 * 1_000_000_000
"""The same while the table is nearly full."""
UNANSWERED_NS: Final = 1_000_000_000
"""Of a SYN or datagram without an answer, while the table is nearly full."""
CONTROL_IDLE_NS: Final = 86_400 * 1_000_000_000
"""Of a control protocol: some poll once a day over a connection that stays open."""
SHAPE_IDLE_NS: Final = 86_400 * 1_000_000_000
"""A shape is judged anew when it comes back."""

# --- site, alerts, records -----------------------------------------------------------------------------------------
MAX_TEXT_CHARS: Final = 128
"""Characters kept of any text from the wire."""
MAX_ALERT_TARGETS: Final = 64
MAX_ALERT_FRAMES: Final = 16
EPISODE_QUIET_NS: Final = 3_600 * 1_000_000_000
"""An episode ends when it has been quiet for an hour of capture time (DESIGN 1)."""
MAX_EPISODES: Final = 65_536
"""Alerts of one run; further ones share one episode for all pairs (a person reads hundreds at most)."""
MAX_EPISODE_TARGETS: Final = 4_096
"""Targets (and units) one episode keeps apart; those beyond are summed."""
MAX_EPISODE_TARGETS_HELD: Final = 262_144
"""Targets that all episodes together keep apart beside their first (about 60 MB)."""
MAX_SERVICES: Final = 65_536
"""(client, server, transport) whose ports a sensor remembers; those used longest ago are forgotten."""
SERVICES_IDLE_NS: Final = 86_400 * 1_000_000_000
SCAN_PORTS: Final = 64
"""More service ports than this between a pair are one `scan` operation."""
MAX_FACTS: Final = 65_536
"""Attributes of devices that a run has told, so that each is told once."""
FACTS_ANEW_NS: Final = 86_400 * 1_000_000_000
"""A sensor tells them anew each day, or once that table is full: what was forgotten since is known again."""
MAX_ASSETS: Final = 20_000
MAX_ENDPOINTS_PER_ASSET: Final = 256
"""Protocol sub-addresses listed of one asset: 247 Modbus units fit, a sweep of 65,536 DNP3 addresses does not."""
MAX_POLICY_BYTES: Final = 4 * 1024 * 1024
MAX_TAGS: Final = 20_000
"""Points of a tag map; what was last written is remembered of each."""
MAX_IMAGE: Final = 131_072
"""Registers, coils and bytes of named points of which the last value is remembered, some 200 bytes each."""
MAX_POLICY_CACHE: Final = 65_536
"""Addresses, pairs and functions whose rows are remembered; a full cache is begun anew."""

# --- the sensor's database -------------------------------------------------------------------------------------------
MAX_JOURNAL_BYTES: Final = 4 * 1024 * 1024
"""A longer write-ahead log is moved into the database and cut back (SQLite's own default, in bytes)."""
DATABASE_CACHE_KIB: Final = 16 * 1024
MAX_HEALTH_RECORDS: Final = 50_000
"""A month of one a minute."""
MAX_AUDIT_ENTRIES: Final = 1_000_000
"""About 400 MB: 100 decisions a day for 27 years. An append-only log cannot forget, so it ends."""
MAX_OPEN_PERMITS: Final = 64
"""Each is a copy of its conduit's rows."""
MAX_PERMITS: Final = 256
"""Permits that a policy knows, ended ones among them."""
KEEP_PERMITTED: Final = 200_000
"""Operations under permits, by ticket; the oldest go first."""
KEEP_NS: Final = 400 * 86_400 * 1_000_000_000
"""Alerts that ended and operations not seen any more are kept for 400 days, so that a yearly job is known."""
KEEP_BYTES: Final = 4 * 1024 * 1024 * 1024
KEEP_CONNECTIONS: Final = 1_000_000
MAX_UNSAVED: Final = 50_000
"""Records of each kind that wait while the disk is full (about 100 MB in all)."""
KEEP_HOSTS: Final = 100_000
KEEP_BINDINGS: Final = 200_000
"""Two for each host: by ARP and as the source of frames."""
KEEP_FACTS: Final = 200_000
"""Ten for each of 20,000 assets; what devices really say comes back when facts are told anew."""

# --- values of points ------------------------------------------------------------------------------------------------
POINT_SAMPLE_NS: Final = 60 * 1_000_000_000
"""How often the values of a message that comes again and again are looked at, if anybody takes them."""
POINTS_PER_S: Final = 20
"""Values a second on average, for checkpoints may write 20 kB a second; of more, each is looked at less often."""
POINT_VALUES: Final = 125
"""Values of one message: as many registers as one can hold. Which ones of more, its time decides."""
MAX_POINTS: Final = 20_000
"""Points that wait for a checkpoint."""
MAX_POINT_REQUESTS: Final = 4_096
"""Requests kept until their response comes, for the addresses of what was read."""
MAX_TOLD_BYTES: Final = 512 * 1024 * 1024
"""Of one message of a sensor's job: a harvest of MAX_UNSAVED operations and as many connections is a tenth of it."""

# --- transfers of logic ----------------------------------------------------------------------------------------------
MAX_TRANSFERS: Final = 1_024
"""Uploads and downloads that go on at once (a hash and their block's name each); of more, the oldest counts as cut."""
MAX_TRANSFER_REQUESTS: Final = 1_024
"""Their jobs kept until the answer comes, which does not name the block."""
TRANSFER_IDLE_NS: Final = 600 * 1_000_000_000
"""A sensor calls one that rests for longer broken off."""
MAX_BLOCKS: Final = 20_000
"""Transfers that ended and wait for a harvest (a large controller has some hundred blocks)."""
KEEP_BLOCKS: Final = 100_000
"""Different contents of blocks that a sensor remembers, those seen last the longest ago go first."""

# --- messages in several PDUs ---------------------------------------------------------------------------------------
MAX_JOINS: Final = 64
"""Answers in several parts that are put together at once; of more, the one that rests for longest is left in parts."""
MAX_JOINS_EACH: Final = 4
"""The same on one connection, so that one that opens many takes no other's place."""
MAX_JOINED_BYTES: Final = 60_000
"""Of one of them; what it is put together as has a length of 16 bits."""

# --- habits of clients -----------------------------------------------------------------------------------------------
MAX_SIGNATURES: Final = 8
"""Of one habit of one client; who shows more has none."""
MAX_HABITS: Final = 20_000
"""Habits that wait for a harvest."""
KEEP_HABITS: Final = 50_000
"""Habits that a sensor remembers: five thousand clients with five protocols each."""

# --- delivery --------------------------------------------------------------------------------------------------------
SUMMARY_NS: Final = 86_400 * 1_000_000_000
"""How often an operation that goes on is told again to sinks."""
SUMMARY_ROWS: Final = 2_000
"""Operations looked at for that at a time (a few milliseconds)."""
SPOOL_BYTES: Final = 1024 * 1024 * 1024
"""Records that wait for sinks: about a million alerts, or months of a quiet plant."""
SPOOL_NS: Final = 30 * 86_400 * 1_000_000_000
"""What is older and is no alert is not delivered any more."""
MAX_BATCH_RECORDS: Final = 1_000
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
"""Of records in a batch, before they are made documents (Elasticsearch advises 5-15 MB, and takes at most 100 MB)."""
MAX_DEAD: Final = 10_000
"""Records kept that a sink will never take, for each sink; the oldest go first, counted."""
MAX_BACKOFF_S: Final = 300.0
"""Longest wait before a sink is tried again (elasticsearch-py's helpers: 600)."""

# --- what leaves otmon -----------------------------------------------------------------------------------------------
ELASTIC_KEYWORD_CHARS: Final = 1024
"""Longer values of a keyword are cut, in UTF-16 units (`ignore_above` of ECS; Lucene would take 32,766 bytes)."""
ELASTIC_TEXT_CHARS: Final = 8_192
ELASTIC_LIST_VALUES: Final = 256
"""Values of one field in one document."""
ELASTIC_DETAILS: Final = 32
"""Particulars of one audit record."""
