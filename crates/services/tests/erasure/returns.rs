//! What could bring an erased vehicle back: the stream, a redrive, a restore from the archive, and a new registration.

use roadcast_domain::erasure::ErasureState;
use roadcast_domain::subject::{Subject, VehicleName};
use roadcast_ports::vehicles::Vehicles as _;
use roadcast_services::stream::Record;
use roadcast_testbed::FaultPlan;

use crate::contents::Contents;
use crate::fixture::{ErasureFixture, event};

/// The samples of the erased vehicles in [`ErasureFixture::send_everything`]: 2 by id, 3 in the batch, and 2 that are invalid.
/// What states only a name and is not an event is quarantined, and found there by the second pass.
const ERASED_SAMPLES: usize = 7;

#[tokio::test]
async fn records_that_are_read_again_bring_nothing_back() {
    let fixture = ErasureFixture::new().await;
    let before = Contents::read(&fixture);
    let records = fixture.records();
    let archived: Vec<Record> = fixture
        .memory
        .archived()
        .into_iter()
        .flat_map(|batch| batch.records.into_iter().map(move |raw| Record { shard: batch.shard.clone(), raw }))
        .collect();
    fixture.request().await;
    fixture.step(1, &FaultPlan::healthy()).await.unwrap();
    let quarantined = fixture.memory.quarantined().len();

    let replayed = fixture.processor().process_batch(&records).await;
    let redriven = fixture.processor().redrive_batch(&records).await;
    let restored = fixture.processor().redrive_batch(&archived).await;
    for outcome in [replayed, redriven, restored] {
        assert_eq!((outcome.retry_from, outcome.counts.samples_erased), (None, ERASED_SAMPLES));
        assert_eq!(outcome.counts.samples_stored, 0);
    }
    let again = fixture.memory.quarantined();
    let of_erased = again[quarantined..].iter().filter(|item| item.vid.as_ref().is_some_and(|vid| *vid != fixture.kept));
    assert_eq!(of_erased.count(), 0, "what is dropped is not quarantined");

    // The records were archived again when they were read. The second pass finds them.
    fixture.run(&FaultPlan::healthy()).await;
    assert_eq!(fixture.erasure().await.state, ErasureState::Complete);
    let after = Contents::read(&fixture);
    assert_eq!(after.traces(&fixture), Vec::<String>::new());
    assert_eq!(after.of_others(&fixture), before.of_others(&fixture));
}

#[tokio::test]
async fn name_is_registered_again_without_earlier_data() {
    let fixture = ErasureFixture::new().await;
    let earlier = fixture.records();
    fixture.request().await;
    fixture.step(1, &FaultPlan::healthy()).await.unwrap();
    fixture.clock.advance_ms(60_000);

    let new = fixture.unknown_vehicle();
    fixture.register(&new, "first").await;
    fixture.clock.advance_ms(60_000);
    let outcome = fixture.processor().redrive_batch(&earlier).await;
    assert_eq!((outcome.counts.samples_erased, outcome.counts.samples_stored), (ERASED_SAMPLES, 0));
    let sent = event("new", Some("test:first"), 9.0).to_string();
    fixture.memory.stream().put_bytes("partner", sent.as_bytes());
    let outcome = fixture.processor().process_batch(&fixture.records()[earlier.len()..]).await;
    assert_eq!((outcome.counts.samples_stored, outcome.counts.samples_erased), (1, 0));

    // The second pass leaves what the new vehicle sent.
    fixture.run(&FaultPlan::healthy()).await;
    let found = Contents::read(&fixture).traces(&fixture);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("archive: partner") && found[0].contains(r#""id":"new""#), "{found:?}");
    let name = VehicleName::try_from("test:first".to_owned()).unwrap();
    assert_eq!(fixture.memory.resolve(&Subject::from(name)).await.unwrap(), Some(new));
}
