"""Why otmon and tshark differ, who is right, and where the specification says so."""

from typing import NamedTuple


class Why(NamedTuple):
    right: str
    """otmon, tshark, or both: two ways to show the same, or nothing that a specification decides."""
    reason: str
    section: str


MODBUS = "Modbus Application Protocol V1.1b3"
MESSAGING = "Modbus Messaging on TCP/IP V1.0b"
SERIAL = "Modbus over Serial Line V1.02"
DNP3 = "IEEE 1815-2012"
UNPUBLISHED = "S7 communication has no published specification"

WHY: dict[str, Why] = {
    "late": Why(
        "otmon",
        "captured behind the frame that acknowledges it: tshark takes it for a retransmission and shows nothing of it",
        "RFC 9293, 3.10.7.4 (a segment with bytes not yet received is taken)",
    ),
    "hole": Why(
        "otmon",
        "numbers are mutated: tshark shows nothing of what it takes for a retransmission, or what follows a hole; "
        "Zeek's log has the PDUs of frames 2, 19 and 21 too. Frame 20 says 35,124 bytes in its IP header and has 52: "
        "no receiver takes it, tshark does",
        "RFC 9293, 3.10.7.4; RFC 791, 3.1 (total length)",
    ),
    "no pdu": Why(
        "otmon",
        "frames 91 to 111: exceptions with a byte too many, then bytes that are no MBAP; no sound PDU in the whole "
        "connection, so it is not called Modbus (nor by Zeek). 32 and 34: requests 43/14 of a byte too many, malformed",
        f"{MODBUS}, 6.21 and 7; {MESSAGING}, 3.1.3",
    ),
    "length": Why(
        "otmon",
        "bytes missing, or too many, for what function and counts say: malformed; tshark shows what is there",
        f"{MODBUS}, 6 (request and response of each function)",
    ),
    "no request": Why(
        "both",
        "the capture begins behind the request: otmon gives no addresses to the values, tshark counts from 0",
        f"{MODBUS}, 6.1 and 6.3 (a response carries no address)",
    ),
    "records": Why(
        "otmon",
        "tshark shows the data of a file sub-response as all that follows, the next ones included",
        f"{MODBUS}, 6.14 (each has a length of its own)",
    ),
    "quoted": Why(
        "otmon",
        "an ICMP error quotes the datagram that nobody took: tshark dissects it again, and it was sent once",
        "RFC 792 (internet header + 64 bits of data of the original datagram)",
    ),
    "short frame": Why(
        "otmon",
        "RTU requests without data have four octets; tshark takes none of less than five, so pairs nothing with them",
        f"{SERIAL}, 2.5.1 (address, function code, 0 to 252 octets of data, CRC)",
    ),
    "stop": Why(
        "otmon",
        "tshark shows no objects of a stop application request; they name the application",
        f"{DNP3}, table 4-2 (function code 18)",
    ),
    "sequence": Why(
        "otmon",
        "the transport sequence goes on from 63 to 0, and tshark loses the fragment",
        f"{DNP3}, clause 8 (sequence numbers are modulo 64)",
    ),
    "joined": Why(
        "otmon",
        "tshark joins the frame to frame 215, 96 frames before, whose fragment never ended; FIR begins another one",
        f"{DNP3}, clause 8 (FIR)",
    ),
    "no object": Why(
        "otmon",
        "objects that Wireshark 4.0 does not know: g4v3 (double-bit event, relative time) and g50v4 (time, interval)",
        f"{DNP3}, Annex A",
    ),
    "unreadable": Why(
        "otmon",
        "made to be malformed. Of an object that is cut off tshark shows the octets that are there, otmon whole ones "
        "(object_data_short); behind a header that cannot be read (unknown_qualifier, range_reversed, unknown_object) "
        "otmon stops, and tshark takes what follows for objects. Virtual addresses are a start and a stop; tshark "
        "reads one address and an object behind it",
        f"{DNP3}, table 4-5 (range codes), Annex A",
    ),
    "parts": Why(
        "both",
        "an answer in several messages: both show all of it with the last one, otmon also what it read of the first",
        UNPUBLISHED,
    ),
    "variant": Why(
        "both",
        "list 0232 is laid out as 0132, of one of several CPUs: otmon shows its fields, tshark its bytes",
        "System Software for S7-300 and S7-400 (A5E02789976), SSL-ID W#16#xy32",
    ),
    "alarm list": Why("tshark", "otmon does not show the two octets before a list of alarms", UNPUBLISHED),
    "desktop": Why(
        "otmon",
        "remote desktop on port 3389: TPKT and COTP carry it as they carry S7, and nothing else in it is S7",
        "RFC 1006, 5; MS-RDPBCGR, 2.2.1.1",
    ),
}
