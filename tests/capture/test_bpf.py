"""Filter expressions: libpcap's program, tcpdump's own beside it, and one line for what cannot be."""

import shutil
import subprocess

import pytest

from otmon.capture import bpf
from otmon.capture.bpf import compile_filter
from otmon.capture.errors import FilterError

try:
    compile_filter("", 1)
except FilterError as error:
    pytest.skip(str(error), allow_module_level=True)


@pytest.mark.skipif(not shutil.which("tcpdump"), reason="no tcpdump")
@pytest.mark.parametrize(
    "text", ["tcp port 502", "not host 10.0.0.1", "ether proto 0x8892 or (udp and net 10.0.0.0/8)", ""]
)
@pytest.mark.parametrize(("link_type", "name"), [(1, "EN10MB"), (101, "RAW")])
def test_as_tcpdump_compiles_it(text, link_type, name):
    done = subprocess.run(["tcpdump", "-ddd", "-y", name, *text.split()], capture_output=True, text=True)
    expected = [tuple(map(int, line.split())) for line in done.stdout.splitlines()[1:]]
    assert done.returncode == 0
    assert compile_filter(text, link_type) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tcp prt 502", "filter 'tcp prt 502': can't parse filter expression: syntax error"),
        ("vlan 5", "filter 'vlan 5': vlan cannot be filtered: the kernel takes tags off before filters run"),
        ("tcp port 502 and(vlan)", "vlan cannot be filtered"),
        ("tcp\0", "has a NUL character"),
        ("port \x1b[31m", "filter 'port"),
    ],
)
def test_one_line_for_what_cannot_be(text, words):
    with pytest.raises(FilterError) as caught:
        compile_filter(text, 1)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_without_libpcap(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(bpf.ctypes, "CDLL", missing)
    with pytest.raises(FilterError, match=r"capture filters need libpcap: install it \(apt install libpcap0\.8"):
        compile_filter("tcp", 1)
