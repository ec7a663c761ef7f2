"""Wireshark's fields that the tests of this folder ask for."""

from tests.protocols.test_dnp3_captures import FIELDS as DNP3
from tests.protocols.test_modbus_tshark import FIELDS as MODBUS

REQUEST_FRAME = "modbus.request_frame"
S7 = {
    "rosctr": "s7comm.header.rosctr",
    "reference": "s7comm.header.pduref",
    "function": "s7comm.param.func",
    "group": "s7comm.param.userdata.funcgroup",
    "subfunction": "s7comm.param.userdata.subfunc",
    "error_class": "s7comm.header.errcls",
    "error_code": "s7comm.header.errcod",
    "area": "s7comm.param.item.area",
    "db": "s7comm.param.item.db",
    "length": "s7comm.param.item.length",
    "address": "s7comm.param.item.address",
    "return_code": "s7comm.data.returncode",
    "data": "s7comm.resp.data",
}
COTP = {"type": "cotp.type", "called": "cotp.dst-tsap-bytes", "calling": "cotp.src-tsap-bytes"}
ALL = tuple(dict.fromkeys((*MODBUS.values(), REQUEST_FRAME, *DNP3.values(), *S7.values(), *COTP.values())))
