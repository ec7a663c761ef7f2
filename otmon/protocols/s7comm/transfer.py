"""Uploads and downloads: which block, how long, and its bytes piece by piece."""

from typing import Any, Final

from otmon.model import Malformed, Target
from otmon.protocols.s7comm import blocks
from otmon.protocols.s7comm.targets import file_target
from otmon.text import safe_text

REQUEST_DOWNLOAD, DOWNLOAD_BLOCK, DOWNLOAD_ENDED, START_UPLOAD, UPLOAD, END_UPLOAD = range(0x1A, 0x20)
WITH_FILE: Final = (REQUEST_DOWNLOAD, DOWNLOAD_BLOCK, DOWNLOAD_ENDED, START_UPLOAD)
_PARTS: Final = (DOWNLOAD_BLOCK, UPLOAD)


def file_job(param: bytes, body: dict[str, Any]) -> tuple[Target | None, ...]:
    """A job that names a file; with a download request the lengths of the block. Raises Malformed."""
    if len(param) < 9 or 9 + param[8] > len(param):
        raise Malformed("file name cut off")
    name, rest = param[9 : 9 + param[8]], param[9 + param[8] :]
    target = file_target(name)
    body |= {"status": param[1], "more": bool(param[1] & 1), "failed": bool(param[1] & 2)}
    body["upload_id"] = int.from_bytes(param[4:8], "big")
    if param[0] == DOWNLOAD_ENDED:
        body["transfer_error"] = int.from_bytes(param[2:4], "big")
    body["file"], body["block"] = safe_text(name), None if target is None else target.name
    parts = blocks.block_parts(name[1:])
    body |= parts or {"block_type": None, "block_number": None, "file_system": None}
    if param[0] == REQUEST_DOWNLOAD and len(rest) >= 14 and rest[2:14].isdigit():
        body["load_memory_bytes"], body["code_bytes"] = int(rest[2:8]), int(rest[8:14])
    return (target,)


def upload_job(param: bytes, body: dict[str, Any]) -> None:
    """A job that goes on with an upload or ends it."""
    if len(param) >= 8:
        body["status"], body["upload_id"] = param[1], int.from_bytes(param[4:8], "big")
        if param[0] == END_UPLOAD:
            body["transfer_error"] = int.from_bytes(param[2:4], "big")


def answer(param: bytes, content: bytes, body: dict[str, Any], flags: list[str], request: bytes | None) -> None:
    """What the answer to a job of a transfer says; of `request`, the parameter of that job, the block is taken."""
    if param[0] == START_UPLOAD and len(param) >= 8:
        body |= {"more": bool(param[1] & 1), "failed": bool(param[1] & 2)}
        body["upload_id"] = int.from_bytes(param[4:8], "big")
        length = param[9 : 9 + param[8]] if len(param) > 8 else b""
        if len(length) < 10 and length.isdigit():
            body["block_bytes"] = int(length)
    elif param[0] in _PARTS and len(param) >= 2:
        body |= {"more": bool(param[1] & 1), "failed": bool(param[1] & 2)} | blocks.part(content)
        if "missing_bytes" in body:
            flags.append("data_truncated")
    if request is not None and request[:1] == param[:1]:
        asked: dict[str, Any] = {}
        if param[0] in WITH_FILE:
            try:
                file_job(request, asked)
            except Malformed:
                return
        else:
            upload_job(request, asked)
        body["asked"] = {name: asked[name] for name in ("block", "file_system", "upload_id") if name in asked}
