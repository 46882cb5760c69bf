//! Erasures: the conformance suites, and objects and scanned tables, which are found by their content.

use aws_sdk_s3::primitives::ByteStream;
use roadcast_aws::{
    ArchiveSection, AwsVehicleErasure, DynamoAlertState, DynamoDeadLetters, DynamoDeliveries, DynamoEntitlements,
    DynamoErasures, DynamoEventLog, DynamoFeedIndex, DynamoFleets, DynamoStateStore, DynamoSubscriptions,
    DynamoVehicleMappings, DynamoVehicles, ErasedTables, OsRandomness, S3Archive, S3ArchiveReader, S3DeadLetterContents,
    Sdk, SecretsManagerSource, SystemClock,
};
use roadcast_domain::dead_letter::{DeadLetter, Hop, Pointers};
use roadcast_domain::entitlement::Holders;
use roadcast_domain::erasure::{ErasedStore, ErasureScope, StoreCounts};
use roadcast_domain::ids::{ArrivalStamp, DeadLetterId, DeliveryId, Eid, EndpointId, FleetId, VehicleId};
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::refusal::Reason;
use roadcast_domain::vehicle_mapping::{FileVersion, MappedDetails, VehicleMapping};
use roadcast_domain::webhook::{Delivery as WebhookDelivery, DeliveryKey, Payload};
use roadcast_ports::archive::{Archive, Quarantine, QuarantinedItem, RawBatch, RawRecord};
use roadcast_ports::bulk::VehicleMappings as _;
use roadcast_ports::clock::{Clock as _, Randomness as _};
use roadcast_ports::conformance::{self as suites, ErasedStores, Fixtures};
use roadcast_ports::dead_letters::{DeadLetterContents as _, DeadLetters as _};
use roadcast_ports::erasure::VehicleErasure as _;
use roadcast_ports::feed::{Delivery, FeedIndex as _, FeedRange};
use roadcast_ports::fleets::Fleets as _;
use roadcast_ports::webhooks::Deliveries as _;
use serde_json::json;

use crate::stack::Stack;

/// The names of the resources of an erasure.
pub(crate) struct Resources {
    pub(crate) vehicles: String,
    pub(crate) tables: ErasedTables,
    pub(crate) archive: String,
    pub(crate) dead_letter_bucket: String,
    pub(crate) secret: String,
}

pub(crate) async fn check(sdk: &Sdk, stack: &Stack) {
    let resources = Resources {
        vehicles: stack.vehicles.clone(),
        tables: ErasedTables {
            reference: stack.reference.clone(),
            vehicle_events: stack.vehicle_events.clone(),
            vehicle_state: stack.vehicle_state.clone(),
            alert_state: stack.alert_state.clone(),
            feed_index: stack.feed_index.clone(),
            deliveries: stack.deliveries.clone(),
            dead_letters: stack.dead_letters.clone(),
        },
        archive: stack.bucket.clone(),
        dead_letter_bucket: stack.dead_letter_bucket.clone(),
        secret: stack.secret.clone(),
    };
    Box::pin(make(sdk, sdk, &resources)).await;
    println!("erasure");
}

/// Erases vehicles with `eraser`, from stores that `operator` fills.
pub(crate) async fn make(operator: &Sdk, eraser: &Sdk, names: &Resources) {
    let registry = |sdk: &Sdk| {
        let secrets = SecretsManagerSource::new(sdk.secrets_manager(), &names.secret);
        DynamoVehicles::new(sdk.dynamodb(), &names.vehicles, &names.tables.reference, secrets)
    };
    let erasure = AwsVehicleErasure::new(
        registry(eraser),
        (eraser.dynamodb(), names.tables.clone()),
        eraser.s3(),
        &names.archive,
        &names.dead_letter_bucket,
    );
    suites::erasures(&DynamoErasures::new(operator.dynamodb(), &names.tables.reference), &OsRandomness).await;
    suites::hidden_vehicles(&registry(operator), &erasure, &OsRandomness).await;
    let stores = ErasedStores {
        log: &DynamoEventLog::new(operator.dynamodb(), &names.tables.vehicle_events),
        states: &DynamoStateStore::new(operator.dynamodb(), &names.tables.vehicle_state),
        subscriptions: &DynamoSubscriptions::new(operator.dynamodb(), &names.tables.reference),
        entitlements: &DynamoEntitlements::new(operator.dynamodb(), &names.tables.reference),
    };
    suites::erased_stores(&stores, &erasure, &OsRandomness).await;
    let alert_state = DynamoAlertState::new(operator.dynamodb(), &names.tables.alert_state);
    suites::erased_alert_state(&alert_state, &erasure, (SystemClock.now(), &OsRandomness)).await;
    let scene = Scene { operator, names, erasure: &erasure, erased: vid(), kept: vid() };
    scene.mappings().await;
    scene.feed_index().await;
    scene.deliveries().await;
    scene.archive().await;
    scene.quarantine().await;
    scene.dead_letters().await;
}

fn vid() -> VehicleId {
    VehicleId::from_random_bits(OsRandomness.bits())
}

/// An erased vehicle and one that is kept.
struct Scene<'s> {
    operator: &'s Sdk,
    names: &'s Resources,
    erasure: &'s AwsVehicleErasure,
    erased: VehicleId,
    kept: VehicleId,
}

impl Scene<'_> {
    /// Erases a store, part by part, and returns the counts.
    async fn erase(&self, store: ErasedStore) -> StoreCounts {
        let scope = ErasureScope::new([self.erased.clone()], Vec::new(), SystemClock.now());
        let (mut next, mut counts): (Option<String>, _) = (None, StoreCounts::default());
        loop {
            let part = self.erasure.erase(store, &scope, next.as_deref()).await.unwrap();
            counts.add(part.counts);
            next = part.next;
            if next.is_none() {
                return counts;
            }
        }
    }

    async fn mappings(&self) {
        let fixtures = Fixtures::new(&OsRandomness);
        let fleet = fixtures.fleet("bus");
        let fleets = DynamoFleets::new(self.operator.dynamodb(), &self.names.tables.reference);
        fleets.create_within(&fleet, u32::MAX, &fixtures.change(&fleet.fleet_id)).await.unwrap();
        let mappings = DynamoVehicleMappings::new(self.operator.dynamodb(), &self.names.tables.reference);
        for vid in [&self.erased, &self.kept] {
            let mapping = VehicleMapping {
                fleet_id: fleet.fleet_id.clone(),
                vid: vid.clone(),
                details: MappedDetails::default(),
                removed: false,
                version: FileVersion::new(SystemClock.now(), "", "d"),
                line: 1,
            };
            mappings.put(&mapping).await.unwrap();
        }
        assert_eq!(self.erase(ErasedStore::Mappings).await.removed, 1);
        let listed = mappings.list(&fleet.fleet_id, None, 10).await.unwrap();
        assert_eq!(listed.iter().map(|mapping| &mapping.vid).collect::<Vec<_>>(), [&self.kept]);
    }

    async fn feed_index(&self) {
        let index = DynamoFeedIndex::new(self.operator.dynamodb(), &self.names.tables.feed_index);
        let fleet_id = FleetId::from_random_bits(OsRandomness.bits());
        let start = ArrivalStamp::lower_bound(SystemClock.now());
        let event = |vid: &VehicleId| (vid.clone(), Eid::for_event(vid, "s", "1", SystemClock.now()));
        let (erased, kept) = (event(&self.erased), event(&self.kept));
        for events in [vec![erased.clone(), kept.clone()], vec![erased], vec![kept.clone()]] {
            index.record(&[Delivery { fleet_id: fleet_id.clone(), events, held_by: Holders::None }]).await.unwrap();
        }
        let counts = self.erase(ErasedStore::FeedIndex).await;
        assert_eq!((counts.removed, counts.rewritten), (1, 1));
        let range = FeedRange { fleet_id, from: start, to: ArrivalStamp::MAX, limit: 10 };
        let pointers = index.read(&range).await.unwrap().pointers;
        assert_eq!(pointers.into_iter().map(|of| of.events).collect::<Vec<_>>(), [vec![kept.clone()], vec![kept]]);
    }

    async fn deliveries(&self) {
        let deliveries = DynamoDeliveries::new(self.operator.dynamodb(), &self.names.tables.deliveries);
        let (now, endpoint_id) = (SystemClock.now(), EndpointId::from_random_bits(OsRandomness.bits()));
        for vid in [&self.erased, &self.kept] {
            let key = DeliveryKey {
                endpoint_id: endpoint_id.clone(),
                delivery_id: DeliveryId::from_time_and_salt(now, OsRandomness.bits()),
            };
            let payload = Payload::Event {
                vid: vid.clone(),
                eid: Eid::for_event(vid, "s", "1", now),
                event_type: "roadcast.telemetry.v1".to_owned(),
                cloud_event: "{}".to_owned(),
            };
            let fleet_id = FleetId::from_random_bits(1);
            deliveries.put(&WebhookDelivery::new(key, fleet_id, payload, now)).await.unwrap();
        }
        assert_eq!(self.erase(ErasedStore::Deliveries).await.removed, 1);
        let listed = deliveries.list(&endpoint_id, None, 10).await.unwrap();
        assert_eq!(listed.iter().filter_map(|delivery| delivery.payload.vid()).collect::<Vec<_>>(), [&self.kept]);
    }

    async fn archive(&self) {
        let archive = S3Archive::new(self.operator.s3(), &self.names.archive);
        let record = |number: u32, key: &VehicleId| {
            RawRecord {
                sequence_number: number.to_string(),
                partition_key: key.to_string(),
                arrived_at: SystemClock.now(),
                data: b"{}".to_vec(),
            }
            .into()
        };
        let shard = Fixtures::new(&OsRandomness).word();
        for records in [vec![record(1, &self.erased), record(2, &self.kept)], vec![record(3, &self.erased)]] {
            Archive::store(&archive, &RawBatch { shard: shard.clone(), records }).await.unwrap();
        }
        let counts = self.erase(ErasedStore::Archive).await;
        assert_eq!((counts.removed, counts.rewritten), (1, 1));
        let reader = S3ArchiveReader::new(self.operator.s3(), &self.names.archive);
        let mut objects = reader.list(ArchiveSection::Raw, None, None).await.unwrap();
        objects.retain(|object| object.key.contains(&shard));
        assert_eq!(objects.len(), 1, "the key of the object stays: {objects:?}");
        let lines = reader.read_raw(&objects[0].key).await.unwrap();
        assert_eq!(lines.iter().map(|line| line.key.as_str()).collect::<Vec<_>>(), [self.kept.as_str()]);
        let again = self.erase(ErasedStore::Archive).await;
        assert_eq!((again.removed, again.rewritten), (0, 0), "no version is left");
    }

    async fn quarantine(&self) {
        let quarantine = S3Archive::new(self.operator.s3(), &self.names.archive);
        let shard = Fixtures::new(&OsRandomness).word();
        let item = |vid: &VehicleId, reason| QuarantinedItem {
            reason,
            pointer: JsonPointer::ROOT,
            vid: Some(vid.clone()),
            eid: None,
            index: None,
            samples: 1,
            shard: shard.clone(),
            sequence_number: "1".to_owned(),
            arrived_at: SystemClock.now(),
            bytes: b"{}".to_vec(),
        };
        let [both, one] = [Reason::TimeAhead, Reason::DataInvalid];
        let items = [item(&self.erased, both), item(&self.kept, both), item(&self.erased, one)];
        Quarantine::store(&quarantine, &items).await.unwrap();
        let counts = self.erase(ErasedStore::Quarantine).await;
        assert_eq!((counts.removed, counts.rewritten), (1, 1));
        let reader = S3ArchiveReader::new(self.operator.s3(), &self.names.archive);
        let mut objects = reader.list(ArchiveSection::Quarantine, None, None).await.unwrap();
        objects.retain(|object| object.key.contains(&shard));
        let lines = reader.read_quarantine(&objects[0].key).await.unwrap();
        assert_eq!((objects.len(), lines.len(), &lines[0].vid), (1, 1, &Some(self.kept.clone())));
        let s3 = self.operator.s3();
        let head = s3.head_object().bucket(&self.names.archive).key(&objects[0].key).send().await.unwrap();
        assert_eq!(head.metadata.unwrap_or_default().get("items").map(String::as_str), Some("1"));
    }

    async fn dead_letters(&self) {
        let contents = S3DeadLetterContents::new(self.operator.s3(), &self.names.dead_letter_bucket, &self.names.archive);
        let letters = DynamoDeadLetters::new(self.operator.dynamodb(), &self.names.tables.dead_letters);
        let entry = |vids: &[&VehicleId]| {
            let events: Vec<_> = vids.iter().map(|vid| json!({ "subject": vid })).collect();
            json!({ "detail": { "events": events } }).to_string()
        };
        let mut stored = Vec::new();
        for bytes in [entry(&[&self.erased, &self.kept]), entry(&[&self.erased]), entry(&[&self.kept])] {
            let (hop, now) = (Hop::Feed, SystemClock.now());
            let id = DeadLetterId::for_failure(hop, now, &Fixtures::new(&OsRandomness).word());
            let content = contents.store(id, bytes.into_bytes()).await.unwrap();
            let letter = DeadLetter {
                dead_letter_id: id,
                hop,
                reason: "r".to_owned(),
                detail: None,
                fleet_id: None,
                pointers: Pointers::default(),
                items: 1,
                first_at: now,
                last_at: now,
                content,
                claim: None,
                redriven: None,
            };
            letters.put(&letter).await.unwrap();
            stored.push(letter);
        }
        // As Lambda stores failed batches.
        for (key, vids) in [("aws/lambda/suite/1", &[&self.erased][..]), ("aws/lambda/suite/2", &[&self.erased, &self.kept])]
        {
            let bytes = ByteStream::from(entry(vids).into_bytes());
            let put = self.operator.s3().put_object().bucket(&self.names.dead_letter_bucket).key(key);
            put.body(bytes).send().await.unwrap();
        }

        let counts = self.erase(ErasedStore::DeadLetters).await;
        assert!(counts.removed >= 3 && counts.rewritten == 2, "{counts:?}");
        for (letter, expected) in stored.iter().zip([Some(entry(&[&self.kept])), None, Some(entry(&[&self.kept]))]) {
            let found = letters.get(letter.dead_letter_id).await.unwrap();
            assert_eq!(found.is_some(), expected.is_some());
            let bytes = contents.read(&letter.content, 1000).await.unwrap();
            assert_eq!(bytes.map(|bytes| String::from_utf8(bytes).unwrap()), expected);
        }
    }
}
