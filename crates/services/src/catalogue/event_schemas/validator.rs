//! A schema, compiled.

use std::error::Error;

use boon::{Compiler, Draft, ErrorKind, InstanceToken, SchemaIndex, UrlLoader, ValidationError};
use roadcast_domain::limits;
use roadcast_domain::schema::{Pattern, SchemaFault, SchemaViolation, check, pointer_to};
use serde_json::Value;

/// A name for the schema: it must have one, and nothing is ever looked for there.
const NAME: &str = "urn:roadcast:schema";

/// A schema, compiled. It never looks beyond itself, and what it costs to hold data against it is bounded: the domain counts the
/// checks that it asks for, and its patterns are matched in time that grows with the text alone, without backtracking.
pub struct Validator {
    compiled: boon::Schemas,
    root: SchemaIndex,
}

impl std::fmt::Debug for Validator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Validator").finish_non_exhaustive()
    }
}

impl Validator {
    /// Compiles a schema, if it is one that is taken.
    pub fn of(schema: &Value) -> Result<Self, SchemaFault> {
        for pattern in check(schema)? {
            check_pattern(&pattern)?;
        }
        let mut plain = schema.clone();
        if let Some(keywords) = plain.as_object_mut() {
            // It is known here by our name for it alone.
            keywords.remove("$id");
            keywords.remove("$schema");
        }
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.use_loader(Box::new(Nothing));
        let mut schemas = boon::Schemas::new();
        let refused = |error: boon::CompileError| SchemaFault::new("", format!("cannot be compiled: {error}"));
        compiler.add_resource(NAME, plain).map_err(refused)?;
        let root = compiler.compile(NAME, &mut schemas).map_err(refused)?;
        Ok(Self { compiled: schemas, root })
    }

    /// Holds data against the schema.
    pub fn check(&self, data: &Value) -> Result<(), SchemaViolation> {
        let Err(error) = self.compiled.validate(data, self.root) else { return Ok(()) };
        let mut faults = Vec::new();
        collect(&error, &mut faults);
        let (pointer, detail) = faults.into_iter().min().unwrap_or_default();
        Err(SchemaViolation::Invalid { pointer, detail })
    }
}

/// Loads nothing.
struct Nothing;

impl UrlLoader for Nothing {
    fn load(&self, _: &str) -> Result<Value, Box<dyn Error>> {
        Err("nothing beyond the schema is fetched".into())
    }
}

/// A pattern of few bytes may stand for very many. It is compiled here with a limit first, and as bytes: what it would be in
/// Unicode is no more than several times that, but for Unicode's own classes, which are refused.
fn check_pattern(pattern: &Pattern) -> Result<(), SchemaFault> {
    let wrong = |detail: &str| Err(SchemaFault::new(pattern.pointer.clone(), detail));
    if !pattern.expression.is_ascii() {
        return wrong("must be ASCII; write other characters as \\u{…}");
    }
    let compiled = regex::bytes::RegexBuilder::new(&pattern.expression)
        .unicode(false)
        .size_limit(limits::SCHEMA_PATTERN_COMPILED_BYTES)
        .build();
    match compiled {
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(_)) => wrong("repeats too much"),
        Err(_) => wrong("must be a regular expression without look-around, back references and \\p classes"),
    }
}

/// The faults at the places where they are. Of alternatives none of which fits, none is the one that was meant: the fault is where
/// they stand.
fn collect(error: &ValidationError<'_, '_>, faults: &mut Vec<(String, String)>) {
    let inner =
        matches!(error.kind, ErrorKind::Group | ErrorKind::Schema { .. } | ErrorKind::Reference { .. } | ErrorKind::AllOf);
    if inner && !error.causes.is_empty() {
        error.causes.iter().for_each(|cause| collect(cause, faults));
        return;
    }
    let mut pointer = String::new();
    for token in &error.instance_location.tokens {
        pointer = match token {
            InstanceToken::Prop(name) => pointer_to(&pointer, name),
            InstanceToken::Item(place) => format!("{pointer}/{place}"),
        };
    }
    match &error.kind {
        ErrorKind::Required { want } => {
            faults.extend(want.iter().map(|name| (pointer_to(&pointer, name), "is required".to_owned())));
        }
        ErrorKind::AdditionalProperties { got } => {
            let detail = "is not a field of this type";
            faults.extend(got.iter().map(|name| (pointer_to(&pointer, name), detail.to_owned())));
        }
        kind => faults.push((pointer, detail_of(kind))),
    }
}

/// What is wrong, in words of the schema: the event's own values are in no answer and no log.
fn detail_of(kind: &ErrorKind<'_, '_>) -> String {
    match kind {
        ErrorKind::Type { want, .. } => {
            let names: Vec<String> = want.iter().map(|name| name.to_string()).collect();
            format!("must be of type {}", names.join(" or "))
        }
        ErrorKind::Enum { .. } => "must be one of the values that the schema lists".to_owned(),
        ErrorKind::Const { .. } => "must be the value that the schema names".to_owned(),
        ErrorKind::Format { want, .. } => format!("must be of the format {want}"),
        ErrorKind::Pattern { want, .. } => format!("must match {want}"),
        ErrorKind::Minimum { want, .. } => format!("must be at least {want}"),
        ErrorKind::Maximum { want, .. } => format!("must be at most {want}"),
        ErrorKind::ExclusiveMinimum { want, .. } => format!("must be more than {want}"),
        ErrorKind::ExclusiveMaximum { want, .. } => format!("must be less than {want}"),
        ErrorKind::MultipleOf { want, .. } => format!("must be a multiple of {want}"),
        ErrorKind::MinLength { want, .. } => format!("must have at least {want} characters"),
        ErrorKind::MaxLength { want, .. } => format!("must have at most {want} characters"),
        ErrorKind::MinItems { want, .. } => format!("must have at least {want} elements"),
        ErrorKind::MaxItems { want, .. } => format!("must have at most {want} elements"),
        ErrorKind::MinProperties { want, .. } => format!("must have at least {want} members"),
        ErrorKind::MaxProperties { want, .. } => format!("must have at most {want} members"),
        ErrorKind::UniqueItems { .. } => "must not have the same element twice".to_owned(),
        ErrorKind::PropertyName { .. } => "has a member of a name that the schema does not allow".to_owned(),
        ErrorKind::DependentRequired { prop, missing } => format!("with {prop} needs {}", missing.join(", ")),
        ErrorKind::Contains | ErrorKind::MinContains { .. } | ErrorKind::MaxContains { .. } => {
            "does not have as many elements of a kind as the schema says".to_owned()
        }
        ErrorKind::AnyOf => "fits none of the alternatives".to_owned(),
        ErrorKind::OneOf(None) => "fits none of the alternatives, of which it must be one".to_owned(),
        ErrorKind::OneOf(Some(_)) => "fits more than one of the alternatives, of which it must be one".to_owned(),
        _ => "must not be there, or not like that".to_owned(),
    }
}

#[cfg(test)]
mod tests;
