//! A list of which only the first entries are kept.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The entries of a JSON array as they were sent. Those beyond `LIMIT` are only counted: a decompressed record has room for
/// two million.
pub(crate) struct LimitedList<'a, const LIMIT: usize> {
    pub(crate) first: Vec<&'a RawValue>,
    pub(crate) count: usize,
}

impl<'de: 'a, 'a, const LIMIT: usize> Deserialize<'de> for LimitedList<'a, LIMIT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<'a, const LIMIT: usize>(PhantomData<&'a ()>);

        impl<'de: 'a, 'a, const LIMIT: usize> Visitor<'de> for Elements<'a, LIMIT> {
            type Value = LimitedList<'a, LIMIT>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
                let (mut first, mut count) = (Vec::new(), 0);
                while let Some(entry) = elements.next_element()? {
                    count += 1;
                    if count <= LIMIT {
                        first.push(entry);
                    }
                }
                Ok(LimitedList { first, count })
            }
        }

        deserializer.deserialize_seq(Elements(PhantomData))
    }
}
