//! Compiled schemas.

use std::error::Error;

use boon::{Compiler, Draft, ErrorKind, InstanceToken, SchemaIndex, UrlLoader, ValidationError};
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::limits;
use roadcast_domain::schema::{Pattern, SchemaFault, SchemaViolation, check};
use serde_json::Value;

/// The schema's name: the compiler requires one. Nothing is ever fetched from it.
const NAME: &str = "urn:roadcast:schema";

/// A compiled schema. It never fetches other schemas. The cost of validating data is bounded: the domain limits the number
/// of checks, and patterns are matched without backtracking, in time linear in the length of the text.
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
    /// Compiles a schema. Fails if the schema is invalid or uses an unsupported keyword.
    pub fn compile(schema: &Value) -> Result<Self, SchemaFault> {
        for pattern in check(schema)? {
            check_pattern(&pattern)?;
        }
        let mut plain = schema.clone();
        if let Some(keywords) = plain.as_object_mut() {
            // The schema is identified by `NAME` alone.
            keywords.remove("$id");
            keywords.remove("$schema");
        }
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.use_loader(Box::new(NoLoader));
        let mut schemas = boon::Schemas::new();
        let refused =
            |error: boon::CompileError| SchemaFault::new(JsonPointer::ROOT, format!("cannot be compiled: {error}"));
        compiler.add_resource(NAME, plain).map_err(refused)?;
        let root = compiler.compile(NAME, &mut schemas).map_err(refused)?;
        Ok(Self { compiled: schemas, root })
    }

    /// Validates data. Fails with the first violation in the order of pointers.
    pub fn check(&self, data: &Value) -> Result<(), SchemaViolation> {
        let Err(error) = self.compiled.validate(data, self.root) else { return Ok(()) };
        let mut violations = Vec::new();
        collect(&error, &mut violations);
        let (pointer, detail) = violations.into_iter().min().unwrap_or_default();
        Err(SchemaViolation::Invalid { pointer, detail })
    }
}

/// Refuses to load schemas.
struct NoLoader;

impl UrlLoader for NoLoader {
    fn load(&self, _: &str) -> Result<Value, Box<dyn Error>> {
        Err("other schemas are not fetched".into())
    }
}

/// Checks the compiled size of a pattern, because a pattern of few bytes may expand to very many. The pattern is compiled
/// for bytes: its Unicode form is at most several times as large, except for Unicode classes, which are refused.
fn check_pattern(pattern: &Pattern) -> Result<(), SchemaFault> {
    let refuse = |detail: &str| Err(SchemaFault::new(pattern.pointer.clone(), detail));
    if !pattern.expression.is_ascii() {
        return refuse("must be ASCII; write other characters as \\u{…}");
    }
    let compiled = regex::bytes::RegexBuilder::new(&pattern.expression)
        .unicode(false)
        .size_limit(limits::SCHEMA_PATTERN_COMPILED_BYTES)
        .build();
    match compiled {
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(_)) => refuse("is too large when compiled; reduce its repetitions"),
        Err(_) => refuse("must be a regular expression without look-around, back references and \\p classes"),
    }
}

/// Collects the violations with their pointers. If no alternative of `anyOf` or `oneOf` matches, the intended one is
/// unknown: the violation is reported at the alternatives.
fn collect(error: &ValidationError<'_, '_>, violations: &mut Vec<(JsonPointer, String)>) {
    let is_container =
        matches!(error.kind, ErrorKind::Group | ErrorKind::Schema { .. } | ErrorKind::Reference { .. } | ErrorKind::AllOf);
    if is_container && !error.causes.is_empty() {
        error.causes.iter().for_each(|cause| collect(cause, violations));
        return;
    }
    let mut pointer = JsonPointer::ROOT;
    for token in &error.instance_location.tokens {
        pointer = match token {
            InstanceToken::Prop(name) => pointer.child(name),
            InstanceToken::Item(index) => pointer.index(*index),
        };
    }
    match &error.kind {
        ErrorKind::Required { want } => {
            violations.extend(want.iter().map(|name| (pointer.child(name), "is required".to_owned())));
        }
        ErrorKind::AdditionalProperties { got } => {
            let detail = "unknown property; the schema does not allow it";
            violations.extend(got.iter().map(|name| (pointer.child(name), detail.to_owned())));
        }
        kind => violations.push((pointer, detail_of(kind))),
    }
}

/// Describes a violation in terms of the schema: responses and logs must not contain values of the event.
fn detail_of(kind: &ErrorKind<'_, '_>) -> String {
    match kind {
        ErrorKind::Type { want, .. } => {
            let names: Vec<String> = want.iter().map(|name| name.to_string()).collect();
            format!("must be of type {}", names.join(" or "))
        }
        ErrorKind::Enum { .. } => "must be one of the values of the schema's enum".to_owned(),
        ErrorKind::Const { .. } => "must be the schema's const value".to_owned(),
        ErrorKind::Format { want, .. } => format!("must have the format {want}"),
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
        ErrorKind::MinProperties { want, .. } => format!("must have at least {want} properties"),
        ErrorKind::MaxProperties { want, .. } => format!("must have at most {want} properties"),
        ErrorKind::UniqueItems { .. } => "must not contain duplicate elements".to_owned(),
        ErrorKind::PropertyName { .. } => "has a property name that the schema does not allow".to_owned(),
        ErrorKind::DependentRequired { prop, missing } => {
            format!("requires {} because {prop} is present", missing.join(", "))
        }
        ErrorKind::Contains | ErrorKind::MinContains { .. } | ErrorKind::MaxContains { .. } => {
            "does not contain the number of matching elements that the schema requires".to_owned()
        }
        ErrorKind::AnyOf => "must match at least one of the alternatives".to_owned(),
        ErrorKind::OneOf(None) => "must match exactly one of the alternatives, but matches none".to_owned(),
        ErrorKind::OneOf(Some(_)) => "must match exactly one of the alternatives, but matches several".to_owned(),
        _ => "is not allowed by the schema".to_owned(),
    }
}

#[cfg(test)]
mod tests;
