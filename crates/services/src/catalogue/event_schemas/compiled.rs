//! The compiled schemas that were used last.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use roadcast_domain::event::CustomType;
use roadcast_domain::schema::EventSchema;

use super::Validator;

/// The maximum bytes of the texts of the schemas that are compiled at the same time: 16 of the largest. A compiled schema may
/// take a hundred times its text.
const TEXT_BYTES: usize = 1024 * 1024;

/// Compiled schemas. Each is compiled when it is first used, and dropped when other schemas need its memory.
#[derive(Default)]
pub(super) struct CompiledSchemas {
    /// One version of each type, the last used at the end.
    entries: Mutex<VecDeque<CompiledSchema>>,
}

struct CompiledSchema {
    event_type: CustomType,
    version: u32,
    text_bytes: usize,
    /// `None` if the schema cannot be compiled.
    validator: Option<Arc<Validator>>,
}

impl CompiledSchemas {
    /// Returns the compiled schema; `None` if it cannot be compiled.
    pub(super) fn get(&self, schema: &EventSchema) -> Option<Arc<Validator>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let index = entries.iter().position(|entry| entry.event_type == schema.event_type);
        let entry = index.and_then(|index| entries.remove(index)).filter(|entry| entry.version == schema.version);
        let entry = entry.unwrap_or_else(|| CompiledSchema::new(schema));
        let validator = entry.validator.clone();
        let mut text_bytes: usize = entries.iter().map(|entry| entry.text_bytes).sum::<usize>() + entry.text_bytes;
        while text_bytes > TEXT_BYTES
            && let Some(oldest) = entries.pop_front()
        {
            text_bytes -= oldest.text_bytes;
        }
        entries.push_back(entry);
        validator
    }
}

impl CompiledSchema {
    fn new(schema: &EventSchema) -> Self {
        let EventSchema { event_type, version, schema: text, .. } = schema;
        let compiled = text.parse().and_then(|schema| Validator::compile(&schema));
        if let Err(fault) = &compiled {
            tracing::error!(event_type = event_type.as_str(), version, "could not compile the schema in force: {fault}");
        }
        let (event_type, version, text_bytes) = (event_type.clone(), *version, text.as_str().len());
        Self { event_type, version, text_bytes, validator: compiled.ok().map(Arc::new) }
    }
}
