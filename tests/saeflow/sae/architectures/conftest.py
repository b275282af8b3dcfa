"""What the tests of architectures share."""

from __future__ import annotations

import pytest

from sae_reference import taking


@pytest.fixture(params=["sparse", "dense"])
def path(request):
    """Steps by active entries, and by dense products."""
    with taking(request.param):
        yield request.param
