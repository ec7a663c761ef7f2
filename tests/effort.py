"""How much property tests try: a third of it in `make test`, all of it in `make test-long` (OTMON_THOROUGH=1)."""

import os


def thorough() -> bool:
    """Whether everything is to be tried."""
    return os.environ.get("OTMON_THOROUGH") == "1"


def examples(whole: int) -> int:
    """For `settings(max_examples=...)`."""
    return whole if thorough() else max(10, whole // 3)
