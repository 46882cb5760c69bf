//! The settings whose effect on the bill is estimated.

use roadcast_cost::{Knobs, Payload};
use roadcast_domain::subscription::DeliveryFormat;

/// Batch windows to compare with, in seconds.
const WINDOWS_S: [u16; 3] = [30, 75, 120];
/// Numbers of concurrent batches of a shard to compare with.
const CONCURRENT_BATCHES: [usize; 2] = [2, 6];
/// Intervals between the reads of a feed to compare with, in seconds.
const POLLS_S: [u16; 2] = [15, 300];
/// Numbers of fleets that receive the data of each vehicle.
const FAN_OUTS: [u32; 2] = [0, 3];

/// Returns the settings that differ from `knobs` in one point, each with its description.
pub(super) fn variations(knobs: Knobs, fleets: u32) -> Vec<(String, Knobs)> {
    let mut variations = Vec::new();
    for window_s in WINDOWS_S {
        // Fleets that read as advised read once per window.
        variations.push((format!("batch window of {window_s} s"), Knobs { window_s, poll_s: window_s, ..knobs }));
    }
    for batches in CONCURRENT_BATCHES {
        let change = format!("{batches} concurrent batches of a shard");
        variations.push((change, Knobs { concurrent_batches: Some(batches), ..knobs }));
    }
    let (name, payload) = match knobs.payload {
        Payload::Compact => ("devices send JSON", Payload::Json),
        Payload::Json => ("devices send blocks", Payload::Compact),
    };
    variations.push((name.to_owned(), Knobs { payload, ..knobs }));
    for poll_s in POLLS_S {
        variations.push((format!("feeds are read every {poll_s} s"), Knobs { poll_s, ..knobs }));
    }
    variations.push(("fleets receive JSON".to_owned(), Knobs { delivery_format: DeliveryFormat::Json, ..knobs }));
    for fleets_per_vehicle in FAN_OUTS.into_iter().filter(|fan_out| *fan_out <= fleets) {
        let change = match fleets_per_vehicle {
            0 => "no fleet receives data".to_owned(),
            more => format!("{more} fleets receive each vehicle"),
        };
        variations.push((change, Knobs { fleets_per_vehicle, ..knobs }));
    }
    variations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variations_differ_from_the_settings_in_each_knob() {
        let knobs = Knobs::default();
        let variations = variations(knobs, 10);
        assert!(variations.iter().all(|(_, other)| *other != knobs));
        let varies = |differs: fn(&Knobs, &Knobs) -> bool| variations.iter().any(|(_, other)| differs(other, &knobs));
        assert!(varies(|a, b| a.window_s != b.window_s) && varies(|a, b| a.payload != b.payload));
        assert!(varies(|a, b| a.poll_s != b.poll_s && a.window_s == b.window_s));
        assert!(varies(|a, b| a.concurrent_batches != b.concurrent_batches));
        assert!(varies(|a, b| a.delivery_format != b.delivery_format));
        assert!(varies(|a, b| a.fleets_per_vehicle > b.fleets_per_vehicle) && varies(|a, _| a.fleets_per_vehicle == 0));
    }

    #[test]
    fn no_more_fleets_receive_a_vehicle_than_exist() {
        assert!(variations(Knobs::default(), 2).iter().all(|(_, knobs)| knobs.fleets_per_vehicle <= 2));
    }
}
