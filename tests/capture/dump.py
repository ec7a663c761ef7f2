"""Everything that reading some inputs gives; `python -m tests.capture.dump BUFFER BATCH PATH...` prints it as JSON."""

import dataclasses
import hashlib
import json
import sys

from otmon.capture.batch import REC_LENGTHS, REC_LINK, REC_OFFSET, REC_TS
from otmon.capture.errors import CaptureError
from otmon.capture.inputs import open_inputs


def dump(paths, **options):
    """(frames, info): frames are (input, number, clock, bytes, wire length, link word)."""
    inputs = open_inputs([str(path) for path in paths], **options)
    frames = []
    for batch in inputs:
        for index, record in enumerate(batch.records.tolist()):
            begin, captured = record[REC_OFFSET], record[REC_LENGTHS] >> 32
            assert 0 <= begin <= begin + captured <= len(batch.data)
            data = batch.data[begin : begin + captured].tobytes()
            number = batch.first_frame + index
            frames.append(
                (batch.input, number, record[REC_TS], data, record[REC_LENGTHS] & 0xFFFFFFFF, record[REC_LINK])
            )
    return frames, inputs.info


def main(argv):
    buffer_bytes, batch_frames = int(argv[0]), int(argv[1])
    for path in argv[2:]:
        try:
            frames, info = dump([path], buffer_bytes=buffer_bytes, batch_frames=batch_frames)
        except CaptureError as error:
            print(json.dumps(["error", error.offset, error.reason]))
            continue
        digest = hashlib.sha256(repr(frames).encode()).hexdigest()
        print(json.dumps([len(frames), digest, [dataclasses.asdict(entry) for entry in info]]))


if __name__ == "__main__":
    main(sys.argv[1:])
