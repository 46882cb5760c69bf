//! The members of an object.

use roadcast_domain::json_pointer::JsonPointer;
use serde_json::{Map, Value};

use super::{Mistakes, Part};

/// The members of an object.
#[derive(Debug)]
pub(crate) struct Members<'v> {
    object: &'v Map<String, Value>,
    pointer: JsonPointer,
}

impl<'v> Members<'v> {
    pub(super) fn new(object: &'v Map<String, Value>, pointer: JsonPointer) -> Self {
        Self { object, pointer }
    }

    /// Returns a member, if the object has it.
    pub(crate) fn get(&self, name: &str) -> Option<Part<'v>> {
        self.object.get(name).map(|value| Part { value, pointer: self.pointer.child(name) })
    }

    /// Returns a member that the object must have.
    pub(crate) fn required(&self, name: &str, mistakes: &mut Mistakes) -> Option<Part<'v>> {
        self.get(name).or_else(|| {
            mistakes.add(&self.pointer, format!("the member {name} is required"));
            None
        })
    }

    /// Reads an optional member by `read`, or returns the default of its type. `None` if the member is wrong.
    pub(crate) fn or_default<T: Default>(
        &self,
        name: &str,
        mistakes: &mut Mistakes,
        read: impl FnOnce(&Part<'v>, &mut Mistakes) -> Option<T>,
    ) -> Option<T> {
        self.get(name).map_or_else(|| Some(T::default()), |part| read(&part, mistakes))
    }

    /// Returns the one member that the object has out of these, with its index.
    pub(crate) fn exactly_one(&self, names: &[&str], mistakes: &mut Mistakes) -> Option<(usize, Part<'v>)> {
        let mut present = names.iter().enumerate().filter_map(|(index, name)| Some((index, self.get(name)?)));
        let (first, second) = (present.next(), present.next());
        first.filter(|_| second.is_none()).or_else(|| {
            mistakes.add(&self.pointer, format!("must have exactly one of: {}", names.join(", ")));
            None
        })
    }
}
