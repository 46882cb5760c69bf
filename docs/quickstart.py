"""The quickstart in Python: register a vehicle, subscribe a fleet to it, send an event, read it and drain the feed.

`roadcast_client` is generated from the contract and is not part of the repository. Generate it next to this file with

    pip install openapi-python-client==0.29.1
    openapi-python-client generate --path openapi.json --meta none --output-path roadcast_client

where `openapi.json` is openapi.yaml as converted by tests/api/plain_contract.py. tests/quickstart/run does all of this and runs
this file.
"""

import datetime
import os
import time

import httpx
from roadcast_client import AuthenticatedClient
from roadcast_client.api.events import list_vehicle_events, send_vehicle_events
from roadcast_client.api.feed import acknowledge_feed, read_feed
from roadcast_client.api.fleets import create_client, create_fleet, create_subscription, get_subscription
from roadcast_client.api.vehicles import register_vehicle
from roadcast_client.models import (
    ClientInput,
    ClientInputKind,
    CloudEventIn,
    CloudEventInSpecversion,
    EventData,
    ExternalId,
    FeedAck,
    FeedRequest,
    FleetInput,
    Problem,
    Sample,
    SampleSignals,
    SubscriptionInput,
    SubscriptionState,
    VehicleInput,
)

# `cargo roadcast --json status` prints all three: `api`, `tokenUrl` and `tokens.admin`.
API = os.environ["ROADCAST_API"]
TOKEN_URL = os.environ["ROADCAST_TOKEN_URL"]
ADMIN_TOKEN = os.environ["ROADCAST_ADMIN_TOKEN"]

SOURCE = "urn:example:logger"
PATIENCE_S = 60


def caller(token):
    """An API client that uses the token."""
    return AuthenticatedClient(base_url=API, token=token, timeout=httpx.Timeout(30))


def client(name, kind, **bounds):
    """An API client with the token of a new client that the admin creates."""
    made = good(create_client.sync(client=admin, body=ClientInput(name=name, kind=kind, **bounds)))
    granted = httpx.post(
        TOKEN_URL, auth=(made.client_id, made.client_secret), data={"grant_type": "client_credentials"}
    ).raise_for_status()
    return caller(granted.json()["access_token"])


def good(answer):
    """The response; ends the program if it is a problem."""
    if answer is None or isinstance(answer, Problem):
        raise SystemExit(f"refused: {answer}")
    return answer


def until(what, ask):
    """Polls once a second until `ask` returns a result."""
    for _ in range(PATIENCE_S):
        if found := ask():
            print(f"{what}: there")
            return found
        time.sleep(1)
    raise SystemExit(f"{what}: nothing after {PATIENCE_S} s")


admin = caller(ADMIN_TOKEN)

# A fleet and its client, and a client that sends.
fleet_id = good(create_fleet.sync(client=admin, body=FleetInput(name="Nordwind"))).fleet_id
reader = client("nordwind-app", ClientInputKind.FLEET, fleet_id=fleet_id)
sender = client("logger", ClientInputKind.INGEST, sources=[SOURCE])
print(f"fleet: {fleet_id}")

# A vehicle, registered by the client that will send its events.
number = ExternalId(scheme="bus", value=str(time.time_ns()))
vid = good(register_vehicle.sync(client=sender, body=VehicleInput(external_ids=[number], make="Gillig"))).vid
print(f"vehicle: {vid}")

# A subscription entitles the fleet to packages of the vehicle's signals, once it is active.
wanted = SubscriptionInput(vehicles=[vid], packages=["telematics", "track-and-trace"])
subscription_id = good(create_subscription.sync(fleet_id, client=admin, body=wanted)).subscription_id
until(
    "active subscription",
    lambda: good(get_subscription.sync(fleet_id, subscription_id, client=admin)).state == SubscriptionState.ACTIVE,
)

# An event with one sample.
now = datetime.datetime.now(datetime.timezone.utc)
signals = SampleSignals.from_dict({"Vehicle.Speed": 48.3})
event = CloudEventIn(
    specversion=CloudEventInSpecversion.VALUE_0,
    id="1",
    source=SOURCE,
    type_="roadcast.telemetry.v1",
    time=now,
    data=EventData(samples=[Sample(at=now, signals=signals)]),
)
eid = good(send_vehicle_events.sync(vid, client=sender, body=event)).accepted[0].eid
print(f"sent: {eid}")

# Read it by query and from the feed. Events that are not acknowledged are delivered again.
stored = until("event by query", lambda: good(list_vehicle_events.sync(vid, client=reader)).events)
assert [event.id for event in stored] == [eid], stored

feed = good(read_feed.sync(fleet_id, client=reader, body=FeedRequest(wait_seconds=20)))
assert [event.id for event in feed.events] == [eid], feed
assert feed.events[0].data.samples[0].signals["Vehicle.Speed"] == 48.3, feed
acknowledged = acknowledge_feed.sync_detailed(fleet_id, client=reader, body=FeedAck(ack=feed.ack))
assert acknowledged.status_code == 204, acknowledged
# The response states when to read again.
time.sleep(feed.next_poll_seconds)
assert not good(read_feed.sync(fleet_id, client=reader, body=FeedRequest())).events
print("event from the feed: acknowledged")
