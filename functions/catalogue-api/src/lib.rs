//! The HTTP API of the catalogue: signals, packages that grant them, and schemas of custom events.

mod signals;
mod view;

use http::StatusCode;
use roadcast_domain::caller::{Caller, Scope};
use roadcast_domain::event::CustomType;
use roadcast_domain::schema::EventSchema;
use roadcast_lambda_kit::http::{Access, Api, Request, Response, Route};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::clock::Clock;
use roadcast_ports::packages::CustomPackages;
use roadcast_ports::schemas::Schemas;
use roadcast_services::ServiceError;
use roadcast_services::catalogue::event_schemas::SchemaRegistration;
use roadcast_services::catalogue::packages::{PackageCatalogue, PackageRecord, PackageRequest};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::view::{PackageView, SchemaView};

/// The operations on the catalogue.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `GET /signals`
    ListSignals,
    /// `GET /packages`
    ListPackages,
    /// `GET /packages/{name}`
    GetPackage,
    /// `PUT /packages/{name}`
    PutPackage,
    /// `GET /schemas`
    ListSchemas,
    /// `POST /schemas`
    RegisterSchema,
    /// `GET /schemas/{type}`
    GetSchema,
    /// `GET /schemas/{type}/versions`
    ListSchemaVersions,
    /// `GET /schemas/{type}/versions/{version}`
    GetSchemaVersion,
}

const ALL_CLIENTS: Access = Access::Scopes(&[Scope::Read, Scope::Ingest, Scope::Admin]);
const ADMINS: Access = Access::Scopes(&[Scope::Admin]);
const VERSION: &str = "/schemas/{type}/versions/{version}";

/// The routes of the operations.
pub const ROUTES: &[Route<Operation>] = &[
    Route::new("GET", "/signals", ALL_CLIENTS, Operation::ListSignals).with_query(&["q", "package", "limit", "cursor"]),
    Route::new("GET", "/packages", ALL_CLIENTS, Operation::ListPackages),
    Route::new("GET", "/packages/{name}", ALL_CLIENTS, Operation::GetPackage),
    Route::new("PUT", "/packages/{name}", ADMINS, Operation::PutPackage),
    Route::new("GET", "/schemas", ALL_CLIENTS, Operation::ListSchemas),
    Route::new("POST", "/schemas", ADMINS, Operation::RegisterSchema).with_idempotency_key(),
    Route::new("GET", "/schemas/{type}", ALL_CLIENTS, Operation::GetSchema),
    Route::new("GET", "/schemas/{type}/versions", ALL_CLIENTS, Operation::ListSchemaVersions),
    Route::new("GET", VERSION, ALL_CLIENTS, Operation::GetSchemaVersion),
];

/// The HTTP API of the catalogue.
pub struct CatalogueApi<P, S, K> {
    /// Lists and replaces packages.
    pub packages: PackageCatalogue<P, S, K>,
    /// Registers and lists event schemas.
    pub schemas: SchemaRegistration<S, K>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaInput {
    #[serde(rename = "type")]
    event_type: String,
    /// The schema as received, because parsing it would hide duplicate object keys from the validation.
    schema: Box<RawValue>,
}

impl<P: CustomPackages, S: Schemas, K: Clock> Api for CatalogueApi<P, S, K> {
    type Operation = Operation;

    const ROUTES: &'static [Route<Operation>] = ROUTES;

    async fn handle(&self, operation: Operation, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        match operation {
            Operation::ListSignals => {
                let all = self.packages.list(caller).await?;
                signals::list(request, caller, &all.iter().map(PackageRecord::package).cloned().collect())
            }
            Operation::ListPackages => {
                let all = self.packages.list(caller).await?;
                Response::ok(&json!({"items": all.iter().map(PackageView::from).collect::<Vec<_>>()}))
            }
            Operation::GetPackage => {
                let name: String = request.path("name")?;
                with_etag(&self.packages.get(caller, &name).await?, StatusCode::OK)
            }
            Operation::PutPackage => self.put_package(request, caller).await,
            Operation::ListSchemas => schema_list(&self.schemas.list(caller).await?),
            Operation::RegisterSchema => self.register_schema(request, caller).await,
            Operation::GetSchema => {
                let versions = self.versions(request, caller).await?;
                versions.last().ok_or_else(Problem::not_found).and_then(|latest| Response::ok(&SchemaView::full(latest)))
            }
            Operation::ListSchemaVersions => schema_list(&self.versions(request, caller).await?),
            Operation::GetSchemaVersion => {
                let version: u32 = request.path("version")?;
                let versions = self.versions(request, caller).await?;
                let found = versions.iter().find(|schema| schema.version == version);
                found.ok_or_else(Problem::not_found).and_then(|found| Response::ok(&SchemaView::full(found)))
            }
        }
    }
}

impl<P: CustomPackages, S: Schemas, K: Clock> CatalogueApi<P, S, K> {
    async fn put_package(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let name: String = request.path("name")?;
        let expected_version = request.if_match();
        let package: PackageRequest = request.json()?;
        match self.packages.put(caller, &name, package, expected_version).await {
            Ok(custom) => {
                let status = if custom.version == 1 { StatusCode::CREATED } else { StatusCode::OK };
                with_etag(&PackageRecord::Custom(custom), status)
            }
            // The package exists, and the request has no precondition.
            Err(ServiceError::Stale) if expected_version.is_none() && !request.if_none_match_any() => {
                Err(Problem::precondition_required())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn register_schema(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let SchemaInput { event_type, schema } = request.json()?;
        let registered = self.schemas.register(caller, &event_type, schema.get()).await?;
        let status = if registered.is_new { StatusCode::CREATED } else { StatusCode::OK };
        let EventSchema { event_type, version, .. } = &registered.schema;
        // Relative, because the stage may add a path prefix.
        let location = format!("schemas/{event_type}/versions/{version}");
        Ok(Response::json(status, &SchemaView::full(&registered.schema))?.with_header("location", location))
    }

    /// Returns all versions of the schema in the path, at least one.
    async fn versions(&self, request: &Request, caller: &Caller) -> Result<Vec<EventSchema>, Problem> {
        let event_type: CustomType = request.path("type")?;
        Ok(self.schemas.versions(caller, &event_type).await?)
    }
}

fn schema_list(schemas: &[EventSchema]) -> Result<Response, Problem> {
    Response::ok(&json!({"items": schemas.iter().map(SchemaView::summary).collect::<Vec<_>>()}))
}

fn with_etag(package: &PackageRecord, status: StatusCode) -> Result<Response, Problem> {
    let tag = format!("\"{}\"", package.version());
    Ok(Response::json(status, &PackageView::from(package))?.with_header("etag", tag))
}

#[cfg(test)]
mod tests;
