//! The signals of the catalogue, with the packages that contain them.

use roadcast_domain::package::Packages;
use roadcast_lambda_kit::http::query::{integer, search_text, text};
use roadcast_lambda_kit::http::{Call, Page, Response, parameters};
use roadcast_lambda_kit::problem::Problem;
use roadcast_services::authz::AnyClient;
use roadcast_services::response_budget::take_fitting;
use roadcast_signals::{Catalogue, SignalDef};
use serde_json::{Value, json};

parameters! {
    /// The query of `GET /signals`.
    pub(crate) struct ListSignals {
        text: Option<String> = "q" => search_text,
        package: Option<String> = "package" => text,
        limit: usize = "limit" => integer(1..=2000, 200),
        cursor: Option<String> = "cursor" => text,
    }
}

/// Returns a page of signals, ordered by catalogue number.
pub(crate) async fn list(
    Call { query, request, caller }: Call<'_, ListSignals, AnyClient>,
    packages: &Packages,
) -> Result<Response, Problem> {
    let text = query.text.unwrap_or_default().to_lowercase();
    let package = query.package.map(|name| {
        let package = packages.get(&name);
        package.ok_or_else(|| Problem::invalid_parameter("package", "unknown package; GET /packages lists all packages"))
    });
    let package = package.transpose()?;
    let page = Page::new(request, &caller, query.cursor);
    let after = page.start::<u16>().await?.unwrap_or_default();
    let mut matching = Catalogue::get()
        .iter()
        .filter(|def| def.number > after)
        .filter(|def| text.is_empty() || def.path.to_lowercase().contains(&text))
        .filter(|def| package.is_none_or(|package| package.contains_signal(def.path)));
    let found: Vec<&SignalDef> = matching.by_ref().take(query.limit).collect();
    let items = take_fitting(found.iter().map(|def| signal_view(def, packages)));
    // A signal may be in every package, so a page may end before the requested number of signals.
    let is_last_page = items.len() == found.len() && matching.next().is_none();
    let last = items.len().checked_sub(1).and_then(|index| found.get(index));
    let next = last.filter(|_| !is_last_page).map(|last| last.number);
    page.json_response(json!({ "items": items }), next.as_ref()).await
}

fn signal_view(def: &SignalDef, packages: &Packages) -> Value {
    let datatype = if def.is_array { format!("{}[]", def.datatype) } else { def.datatype.to_string() };
    let package_names: Vec<&str> =
        packages.iter().filter(|package| package.contains_signal(def.path)).map(|package| package.name.as_str()).collect();
    let mut view = json!({"path": def.path, "datatype": datatype, "origin": def.origin.name(), "packages": package_names});
    let optional = [
        ("unit", def.unit.map(Value::from)),
        ("min", def.min.map(number)),
        ("max", def.max.map(number)),
        ("resolution", def.resolution.map(|resolution| number(resolution.value(1)))),
        ("allowed", (!def.allowed.is_empty()).then(|| json!(def.allowed))),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            view[name] = value;
        }
    }
    view
}

/// Formats a number as signal values are formatted: integers without a fraction.
fn number(value: f64) -> Value {
    json!(roadcast_signals::Value::number(value))
}
