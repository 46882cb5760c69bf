//! Telemetry of one vehicle as a columnar block of bytes.
//!
//! A [`Block`] holds events and their samples by column: one column a signal. It is what `vehicleEvents` keeps, what a
//! fleet that chose `blocks` gets, and what a device may send. The bytes are described in `docs/blocks.md`.

mod error;

use roadcast_signals::{Sample, Timestamp};

pub use error::{DecodeError, EncodeError};

/// An event of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockEvent {
    /// Its id: a ULID, of 48 bits of time and 80 bits of hash.
    pub eid: u128,
    /// When it was received.
    pub received: Timestamp,
    /// In the order they were sent; never empty.
    pub samples: Vec<Sample>,
}

/// Telemetry of one vehicle, by column.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    events: Vec<BlockEvent>,
}

impl Block {
    /// The block of these events, in their order.
    pub fn of_events(events: &[BlockEvent]) -> Result<Self, EncodeError> {
        Ok(Self { events: events.to_vec() })
    }

    /// The block of samples that are not yet an event, as a device makes it.
    pub fn of_samples(samples: &[Sample]) -> Result<Self, EncodeError> {
        Self::of_events(&[BlockEvent { eid: 0, received: Timestamp::from_ms(0), samples: samples.to_vec() }])
    }

    /// Its events, row by row. A block of bare samples has none.
    pub fn events(&self) -> Vec<BlockEvent> {
        self.events.clone()
    }

    /// Every sample, whatever event it is of, in order.
    pub fn samples(&self) -> Vec<Sample> {
        self.events.iter().flat_map(|event| event.samples.clone()).collect()
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    /// The block of these bytes. No input makes it panic or allocate more than its limits.
    pub fn decode(_bytes: &[u8]) -> Result<Self, DecodeError> {
        Err(DecodeError::NotABlock)
    }
}
