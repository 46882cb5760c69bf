//! Decodes arbitrary bytes with a valid checksum: `cargo fuzz run decode`, with a nightly compiler. The test
//! `crates/blocks/tests/any_bytes.rs` runs the same body.
#![no_main]

#[path = "../any_bytes.rs"]
mod any_bytes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| any_bytes::check(bytes));
