//! Checks of the Kinesis adapter that the conformance suites do not cover.

use roadcast_aws::{KinesisTelemetryStream, OsRandomness, Sdk};
use roadcast_domain::ids::VehicleId;
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::Randomness;
use roadcast_ports::stream::{StreamRecord, TelemetryStream};

use crate::stack::Stack;

pub(crate) async fn oversized_record_is_rejected_alone(sdk: &Sdk, stack: &Stack) {
    let record = |bytes| StreamRecord { vid: VehicleId::from_random_bits(OsRandomness.bits()), data: vec![b' '; bytes] };
    let records = [record(1), record(1024 * 1024), record(1)];
    let results = KinesisTelemetryStream::new(sdk.kinesis(), &stack.stream).put(&records).await;
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().err().map(roadcast_ports::PortError::kind)).collect();
    assert_eq!(kinds, [None, Some(PortErrorKind::Rejected), None]);
}
