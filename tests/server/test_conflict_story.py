"""The conflict story end to end over HTTP, once for each way it can end."""

from typing import Any

import pytest

from tests.factories import Json, make_sale
from tests.http import SYNC, Answer, Daemon, Till
from tests.server.test_state_table import in_content


class Story:
    """One sale, uploaded by Ana at "a", set to "b" by Marta, sent again stale as "c"."""

    def __init__(self, ana: Till, marta: Till, daemon: Daemon) -> None:
        self.ana, self.marta, self.daemon = ana, marta, daemon
        self.stale: Json = {}
        self.conflict: Json = {}

    async def begin(self) -> None:
        upload = make_sale(notes="a")
        first = (await self.ana.upload(upload)).result
        path = f"/api/v1/sales/{first['sale_id']}/"
        edited = await self.marta.send("PATCH", path, json={"notes": "b", "version": 1})
        assert edited.json["version"] == 2
        self.stale = {**upload, "notes": "c"}
        self.conflict = (await self.ana.upload(self.stale)).result
        assert (self.conflict["sale_id"], self.conflict["sale_number"]) == (
            first["sale_id"],
            first["sale_number"],
        )

    async def resolve(self, till: Till, resolution: str, **more: Any) -> Answer:
        body = {"sale_id": self.conflict["sale_id"], "resolution": resolution, **more}
        return await till.post(f"{SYNC}/resolve/", body)

    async def replay(self) -> Json:
        result: Json = (await self.ana.upload(self.stale)).result
        return result

    async def kinds(self) -> list[tuple[str, str, str | None, int | None, int | None]]:
        user = await self.daemon.gateway.authenticate(self.ana.token or "")
        assert user is not None
        _, entries = await self.daemon.gateway.history(user, self.conflict["sale_id"])
        return [(e.kind, e.actor, e.username, e.from_version, e.to_version) for e in entries]


@pytest.fixture
async def story(daemon: Daemon) -> Story:
    told = Story(await daemon.till("ana"), await daemon.till("marta", "manager"), daemon)
    await told.begin()
    return told


BEGINNING = [
    ("created", "user", "ana", None, 1),
    ("edited", "manager", "marta", 1, 2),
    ("conflict", "user", "ana", 2, 2),
]


async def test_the_stale_upload_meets_base_server_and_client(story: Story) -> None:
    assert story.conflict["status"] == "conflict"
    assert story.conflict["code"] == "stale_version"
    assert story.conflict["conflict_data"] == {
        "server_version": 2,
        "client_version": 1,
        "fields": ["notes"],
        "server": in_content(notes="b"),
        "client": in_content(notes="c"),
        "base": in_content(notes="a"),
    }
    assert await story.kinds() == BEGINNING


ENDINGS = [
    pytest.param("server_wins", {}, 2, "b", id="server_wins"),
    pytest.param("client_wins", {"client_data": {"notes": "c+"}}, 3, "c+", id="client_wins edited"),
    pytest.param("manual", {"client_data": {"notes": "b y c"}}, 3, "b y c", id="manual"),
]


@pytest.mark.parametrize("role", ["ana", "marta"])
@pytest.mark.parametrize(("resolution", "said", "version", "notes"), ENDINGS)
async def test_the_old_upload_again_is_told_how_it_ended(
    story: Story, role: str, resolution: str, said: Json, version: int, notes: str
) -> None:
    who = story.ana if role == "ana" else story.marta
    resolved = await story.resolve(who, resolution, **said)

    result = await story.replay()

    assert resolved.json["sale"]["version"] == version
    assert result == {
        "index": 0,
        "local_id": story.stale["local_id"],
        "status": "success",
        "sale_id": story.conflict["sale_id"],
        "sale_number": story.conflict["sale_number"],
        "version": version,
        "message": f"Conflict already resolved with {resolution}",
        "sale": in_content(notes=notes),
    }
    actor = ("user", "ana") if role == "ana" else ("manager", "marta")
    assert await story.kinds() == [*BEGINNING, ("resolved", *actor, 2, version)]


async def test_the_old_upload_after_client_wins_is_what_the_server_holds(story: Story) -> None:
    await story.resolve(story.marta, "client_wins")

    result = await story.replay()

    assert (result["status"], result["message"]) == ("success", "Sale already synced")
    assert result["version"] == 3
    assert (await story.ana.status(story.conflict["sale_id"]))["conflict_resolution"] == (
        "client_wins"
    )


async def test_the_old_upload_after_client_wins_and_an_edit_is_a_late_duplicate(
    story: Story,
) -> None:
    await story.resolve(story.ana, "client_wins")
    path = f"/api/v1/sales/{story.conflict['sale_id']}/"
    await story.marta.send("PATCH", path, json={"notes": "d", "version": 3})

    result = await story.replay()

    assert (result["message"], result["version"]) == ("Sale already synced", 4)
    assert (await story.ana.sale(story.conflict["sale_id"]))["notes"] == "d"


@pytest.mark.parametrize(("resolution", "said", "version", "notes"), ENDINGS)
async def test_the_very_first_upload_again_is_already_synced(
    story: Story, resolution: str, said: Json, version: int, notes: str
) -> None:
    await story.resolve(story.marta, resolution, **said)

    result = (await story.ana.upload({**story.stale, "notes": "a"})).result

    assert (result["message"], result["version"]) == ("Sale already synced", version)
    assert (await story.ana.sale(story.conflict["sale_id"]))["notes"] == notes


@pytest.mark.parametrize(("resolution", "said", "version", "notes"), ENDINGS)
async def test_the_till_that_took_the_servers_side_can_edit_on(
    story: Story, resolution: str, said: Json, version: int, notes: str
) -> None:
    await story.resolve(story.marta, resolution, **said)
    taken = await story.replay()

    result = (
        await story.ana.upload(
            {
                **taken["sale"],
                "local_id": taken["local_id"],
                "version": taken["version"],
                "notes": "e",
            }
        )
    ).result

    assert (result["message"], result["version"]) == ("Sale updated", version + 1)


async def test_a_mark_for_review_leaves_the_old_upload_in_conflict(story: Story) -> None:
    await story.resolve(story.ana, "manual", notes="que lo vea Marta")

    result = await story.replay()

    assert result == story.conflict
    assert (await story.ana.status(story.conflict["sale_id"]))["sync_status"] == "conflict"


async def test_a_till_that_sends_the_servers_side_ends_the_conflict(story: Story) -> None:
    result = (await story.ana.upload({**story.stale, "notes": "b"})).result

    again = await story.replay()

    assert (result["message"], result["version"]) == ("Sale already synced", 2)
    assert again["message"] == "Conflict already resolved with server_wins"
    assert again["sale"] == in_content(notes="b")
    assert await story.kinds() == [*BEGINNING, ("resolved", "user", "ana", 2, 2)]


async def test_a_till_that_edits_the_present_version_ends_the_conflict(story: Story) -> None:
    result = (await story.ana.upload({**story.stale, "notes": "d", "version": 2})).result

    again = await story.replay()

    assert (result["message"], result["version"]) == ("Sale updated", 3)
    assert again["message"] == "Conflict already resolved with client_wins"
    assert again["sale"] == in_content(notes="d")
    assert await story.kinds() == [*BEGINNING, ("resolved", "user", "ana", 2, 3)]


async def test_an_earlier_parked_copy_is_known_after_the_resolution(story: Story) -> None:
    later = (await story.ana.upload({**story.stale, "notes": "c2"})).result
    await story.resolve(story.marta, "server_wins")

    result = await story.replay()

    assert later["conflict_data"]["client"] == in_content(notes="c2")
    assert result["message"] == "Conflict already resolved with server_wins"


async def test_a_later_resolution_is_the_one_told(story: Story) -> None:
    await story.resolve(story.marta, "server_wins")
    await story.ana.upload({**story.stale, "notes": "c2"})
    await story.resolve(story.marta, "manual", client_data={"notes": "m"})

    result = await story.replay()

    assert result["message"] == "Conflict already resolved with manual"
    assert result["sale"] == in_content(notes="m")


async def test_a_retry_of_a_conflict_does_nothing(story: Story) -> None:
    answer = await story.ana.post(f"{SYNC}/retry/", {"sale_ids": [story.conflict["sale_id"]]})

    [row] = answer.json["results"]
    assert (answer.json["message"], row["status"]) == ("Nothing to retry", "conflict")
    assert await story.kinds() == BEGINNING


async def test_the_conflict_is_listed_when_asked_for(story: Story) -> None:
    default = await story.ana.get(f"{SYNC}/pending/")

    asked = await story.ana.get(f"{SYNC}/pending/?status=conflict")

    [row] = asked.json["results"]
    assert default.json["count"] == 0
    assert (row["id"], row["sync_status"], row["version"]) == (
        story.conflict["sale_id"],
        "conflict",
        2,
    )
