//! Reads JSON and reports every mistake with a pointer.

mod members;

use roadcast_domain::json_pointer::JsonPointer;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits;

pub(crate) use members::Members;

/// What is wrong with a part of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct Mistake {
    /// The part.
    pub pointer: JsonPointer,
    /// What is wrong. Contains no values of the rule.
    pub detail: String,
}

/// The mistakes found so far: the first [`limits::MISTAKES`].
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub(crate) fn add(&mut self, pointer: &JsonPointer, detail: impl Into<String>) {
        if self.0.len() < limits::MISTAKES {
            self.0.push(Mistake { pointer: pointer.clone(), detail: detail.into() });
        }
    }

    pub(crate) fn into_list(self) -> Vec<Mistake> {
        self.0
    }
}

/// A part of the JSON of a rule. Each method adds a mistake where it returns `None`.
#[derive(Clone, Debug)]
pub(crate) struct Part<'v> {
    pub(crate) value: &'v Value,
    pub(crate) pointer: JsonPointer,
}

impl<'v> Part<'v> {
    pub(crate) fn root(value: &'v Value) -> Self {
        Self { value, pointer: JsonPointer::ROOT }
    }

    pub(crate) fn mistake<T>(&self, detail: impl Into<String>, mistakes: &mut Mistakes) -> Option<T> {
        mistakes.add(&self.pointer, detail);
        None
    }

    /// Reads an object with these members. Any other member is a mistake.
    pub(crate) fn members(&self, known: &[&str], mistakes: &mut Mistakes) -> Option<Members<'v>> {
        let Value::Object(object) = self.value else { return self.mistake("must be an object", mistakes) };
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            mistakes.add(&self.pointer.child(name), format!("unknown member; the members are: {}", known.join(", ")));
        }
        Some(Members::new(object, self.pointer.clone()))
    }

    /// Reads a text of 1 to `max` bytes.
    pub(crate) fn text(&self, max: usize, mistakes: &mut Mistakes) -> Option<&'v str> {
        match self.value.as_str() {
            Some(text) if (1..=max).contains(&text.len()) => Some(text),
            _ => self.mistake(format!("must be a text of 1 to {max} bytes"), mistakes),
        }
    }

    /// Reads a text that is one of these.
    pub(crate) fn one_of<T: Copy>(&self, choices: &[(&str, T)], mistakes: &mut Mistakes) -> Option<T> {
        let text = self.value.as_str();
        let chosen = choices.iter().find(|(name, _)| text == Some(*name)).map(|(_, chosen)| *chosen);
        chosen.or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.mistake(format!("must be one of: {}", names.join(", ")), mistakes)
        })
    }

    /// Reads a text that `parse` accepts.
    pub(crate) fn parsed<T>(
        &self,
        expected: &str,
        parse: impl FnOnce(&'v str) -> Option<T>,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        let parsed = self.value.as_str().and_then(parse);
        parsed.or_else(|| self.mistake(format!("must be {expected}"), mistakes))
    }

    /// Reads a number from `min` to `max`.
    pub(crate) fn number(&self, min: f64, max: f64, mistakes: &mut Mistakes) -> Option<f64> {
        match self.value.as_f64() {
            Some(number) if (min..=max).contains(&number) => Some(number),
            _ => self.mistake(format!("must be a number from {min} to {max}"), mistakes),
        }
    }

    /// Reads any number.
    pub(crate) fn any_number(&self, mistakes: &mut Mistakes) -> Option<f64> {
        let number = self.value.as_f64().filter(|number| number.is_finite());
        number.or_else(|| self.mistake("must be a number", mistakes))
    }

    /// Reads a whole number of seconds from `min` to `max`.
    pub(crate) fn seconds(&self, min: u32, max: u32, mistakes: &mut Mistakes) -> Option<u32> {
        let seconds = self.value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
        let seconds = seconds.filter(|seconds| (min..=max).contains(seconds));
        seconds.or_else(|| self.mistake(format!("must be a whole number of seconds from {min} to {max}"), mistakes))
    }

    /// Reads a list of `min` to `max` elements.
    pub(crate) fn list(&self, min: usize, max: usize, mistakes: &mut Mistakes) -> Option<Vec<Self>> {
        match self.value.as_array() {
            Some(elements) if (min..=max).contains(&elements.len()) => {
                let part = |(index, value)| Self { value, pointer: self.pointer.index(index) };
                Some(elements.iter().enumerate().map(part).collect())
            }
            _ => self.mistake(format!("must be a list of {min} to {max} elements"), mistakes),
        }
    }

    /// Reads a list of `min` to `max` elements, each by `read`.
    pub(crate) fn list_of<T>(
        &self,
        min: usize,
        max: usize,
        mistakes: &mut Mistakes,
        mut read: impl FnMut(&Self, &mut Mistakes) -> Option<T>,
    ) -> Option<Vec<T>> {
        // Not collected into an option directly, which would stop at the first mistake.
        let elements = self.list(min, max, mistakes)?;
        let read: Vec<Option<T>> = elements.iter().map(|element| read(element, mistakes)).collect();
        read.into_iter().collect()
    }
}
