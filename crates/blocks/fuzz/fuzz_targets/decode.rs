//! Any bytes, with a checksum that fits: `cargo fuzz run decode`, with a nightly compiler. The body is also run by
//! `crates/blocks/tests/any_bytes.rs`.
#![no_main]

#[path = "../any_bytes.rs"]
mod any_bytes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| any_bytes::check(bytes));
