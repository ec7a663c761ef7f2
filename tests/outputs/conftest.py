import pytest

from tests.outputs import pki as _pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> _pki.Pki:
    return _pki.make(tmp_path_factory.mktemp("pki"))
