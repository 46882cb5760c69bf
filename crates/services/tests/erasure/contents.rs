//! What the stores contain, as texts: one for each thing, with the store in front.

use roadcast_codec::stream_record::decode_text;
use roadcast_domain::ids::VehicleId;
use roadcast_ports::archive::QuarantinedItem;
use serde_json::Value;

use crate::fixture::ErasureFixture;

/// The contents of all stores that an erasure walks through.
pub(crate) struct Contents(Vec<String>);

impl Contents {
    pub(crate) fn read(fixture: &ErasureFixture) -> Self {
        let memory = &fixture.memory;
        let mut contents = Vec::new();
        let mut add = |store: &str, text: String| contents.push(format!("{store}: {text}"));
        for item in fixture.items.all() {
            for stored in item.events().unwrap() {
                add("events", format!("{stored:?}"));
            }
        }
        for (vid, state) in memory.states() {
            add("states", format!("{vid} {state:?}"));
        }
        for (key, revision) in memory.checkpoint_revisions() {
            add("alertState", format!("checkpoint {} {:?} {revision}", key.vid, key.owner));
        }
        for (shard, key) in memory.watched_evaluations() {
            add("alertState", format!("watched in {shard} {} {:?}", key.vid, key.owner));
        }
        for grant in memory.grant_texts() {
            add("grants", grant);
        }
        for mapping in fixture.bulk.mappings() {
            add("mappings", format!("{mapping:?}"));
        }
        for pointer in memory.pointers(&fixture.fleet_id) {
            for (vid, eid) in pointer.events {
                add("feedIndex", format!("{} {vid} {eid}", pointer.stamp));
            }
        }
        for delivery in memory.webhook_deliveries() {
            add("deliveries", format!("{delivery:?}"));
        }
        for record in memory.archived().into_iter().flat_map(|batch| batch.records) {
            for event in events_of(&decode_text(&record.data).unwrap_or_default()) {
                add("archive", format!("{} {event}", record.partition_key));
            }
        }
        for item in memory.quarantined() {
            let QuarantinedItem { reason, vid, bytes, .. } = item;
            add("quarantine", format!("{reason} {vid:?} {}", decode_text(&bytes).unwrap_or_default()));
        }
        for letter in memory.dead_letters() {
            let bytes = memory.letter_object(&letter.content.key).unwrap_or_default();
            let letter: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let events = letter["detail"]["events"].as_array().cloned();
            for event in events.unwrap_or_else(|| vec![letter]) {
                add("deadLetters", event.to_string());
            }
        }
        for subscription in memory.subscription_vehicles() {
            add("subscriptions", subscription);
        }
        contents.sort();
        contents.dedup();
        Self(contents)
    }

    /// Returns what concerns an erased vehicle, by its id or its name.
    pub(crate) fn traces(&self, fixture: &ErasureFixture) -> Vec<String> {
        let is_trace = |text: &&String| {
            let names = ["test:first", "test:second"];
            fixture.erased.iter().map(VehicleId::as_str).chain(names).any(|name| text.contains(name))
        };
        self.0.iter().filter(is_trace).cloned().collect()
    }

    /// Returns what concerns the vehicle that stays.
    pub(crate) fn of_others(&self, fixture: &ErasureFixture) -> Vec<String> {
        let names = [fixture.kept.as_str(), "test:third"];
        self.0.iter().filter(|text| names.iter().any(|name| text.contains(name))).cloned().collect()
    }
}

/// Splits the text of a record, each event in its bytes.
fn events_of(text: &str) -> Vec<String> {
    match roadcast_codec::stream_record::split_events(text) {
        Ok(events) => events.into_iter().map(|event| event.get().to_owned()).collect(),
        Err(_) => vec![text.to_owned()],
    }
}
