import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_folder():
    """Folder with the real texts, which no test downloads."""
    folder = os.environ.get("STATLM_DATA")
    if not folder:
        pytest.skip("the environment variable STATLM_DATA names no folder with the real texts")
    return Path(folder)
