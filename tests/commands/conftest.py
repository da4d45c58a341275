from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Decoded data goes there, and not where the user's is."""
    root = tmp_path / "cache"
    monkeypatch.setenv("NDVQ_TUNE_CACHE", str(root))
    return root
