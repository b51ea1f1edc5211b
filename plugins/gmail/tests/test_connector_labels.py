"""Labels of the user's own making are known by name: a capture policy is written by people."""

from typing import Any

import pytest

from hub.api import Interaction, RawRecord

pytestmark = pytest.mark.anyio


def labels_of(gmail: Any, model: Any, external_id: str) -> tuple[str, ...]:
    (entity,) = gmail.to_canonical("messages", RawRecord(external_id, model.bodies[external_id]))
    assert isinstance(entity, Interaction)
    return entity.labels


async def test_a_label_of_the_users_making_reaches_the_policy_by_its_name(rig: Any, make_model: Any) -> None:
    (private,) = rig.fill(1, labels=("INBOX", "Private"))
    (plain,) = rig.fill(1)
    gmail, model = rig.gmail(), make_model()
    await rig.sync(gmail, model)
    assert "Private" in labels_of(gmail, model, private)
    assert labels_of(gmail, model, plain) == ("INBOX",)


async def test_a_label_made_and_set_later_is_known_by_name_at_once(rig: Any, make_model: Any) -> None:
    (message,) = rig.fill(1)
    gmail, model = rig.gmail(), make_model()
    await rig.sync(gmail, model)
    rig.label([message], add=["Family"])
    await rig.sync(gmail, model)
    assert set(labels_of(gmail, model, message)) == {"INBOX", "Family"}


async def test_names_are_asked_for_once_a_pull_and_only_when_needed(rig: Any, make_model: Any) -> None:
    rig.fill(3, labels=("INBOX", "Private"))
    gmail, model = rig.gmail(), make_model()
    await rig.sync(gmail, model)
    assert [name for _, name in rig.requests()].count("labels") == 1
    rig.fill(2)
    await rig.sync(gmail, model)
    assert "labels" not in [name for _, name in rig.requests()]
