"""A connection that is removed leaves nothing at Google that goes on by itself, and no token here."""

from typing import Any

import pytest

BELL = {"webhook_url": "https://hub.example.com/in/calendar", "webhook_secret": "a secret of some length"}


@pytest.mark.anyio
@pytest.mark.parametrize("is_signed_in", [True, False])
async def test_forgetting_stops_the_channels_as_far_as_the_sign_in_allows(
    stand: Any, model: Any, is_signed_in: bool
) -> None:
    connector = stand.connect(**BELL)
    await stand.sync(connector, model)
    assert len(stand.google.channels) == 1
    if not is_signed_in:
        stand.google.control("revoke", {"address": "sales@example.com"})
        stand.tokens.put(connector.token_name, {})
    await connector.forget()
    assert len(stand.google.channels) == (0 if is_signed_in else 1)
    assert not stand.tokens.get(connector.token_name)
    assert not stand.tokens.get(connector._channels.name)
