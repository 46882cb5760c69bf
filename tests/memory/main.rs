//! Peak memory of each function for the worst input, hostile and honest: a request, a batch or an entry must not take more
//! than `docs/reliability.md` states, whatever it contains.
//!
//! The allocator of this test target counts the bytes of each thread. `cargo test -p roadcast-tests --test memory -- --nocapture`
//! prints the peaks.

// Tests may panic. Figures are small enough for any number type.
#![allow(clippy::cast_possible_wrap, clippy::cast_precision_loss, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod alerts;
mod catalogue_api;
mod dead_letters;
mod endpoints_api;
mod eraser;
mod events_api;
mod fixture;
mod onboarding;
mod peak;
mod reference_loader;
mod request;
mod restore;
mod stream;
mod vehicles_api;
