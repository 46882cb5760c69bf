//! What may be known of vehicles, over HTTP: signals, packages that grant them, and schemas of custom events.

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

const ANYBODY: Access = Access::Scopes(&[Scope::Read, Scope::Ingest, Scope::Admin]);
const ADMINS: Access = Access::Scopes(&[Scope::Admin]);
const VERSION: &str = "/schemas/{type}/versions/{version}";

/// The operations' routes.
pub const ROUTES: &[Route<Operation>] = &[
    Route::new("GET", "/signals", ANYBODY, Operation::ListSignals).with_query(&["q", "package", "limit", "cursor"]),
    Route::new("GET", "/packages", ANYBODY, Operation::ListPackages),
    Route::new("GET", "/packages/{name}", ANYBODY, Operation::GetPackage),
    Route::new("PUT", "/packages/{name}", ADMINS, Operation::PutPackage),
    Route::new("GET", "/schemas", ANYBODY, Operation::ListSchemas),
    Route::new("POST", "/schemas", ADMINS, Operation::RegisterSchema).creating(),
    Route::new("GET", "/schemas/{type}", ANYBODY, Operation::GetSchema),
    Route::new("GET", "/schemas/{type}/versions", ANYBODY, Operation::ListSchemaVersions),
    Route::new("GET", VERSION, ANYBODY, Operation::GetSchemaVersion),
];

/// The catalogue over HTTP.
pub struct CatalogueApi<P, S, K> {
    /// Keeps packages.
    pub packages: PackageCatalogue<P, S, K>,
    /// Keeps schemas.
    pub schemas: SchemaRegistration<S, K>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaInput {
    #[serde(rename = "type")]
    event_type: String,
    /// As it was sent: a member that stands there twice must not be lost before it is seen.
    schema: Box<RawValue>,
}

impl<P: CustomPackages, S: Schemas, K: Clock> Api for CatalogueApi<P, S, K> {
    type Operation = Operation;

    const ROUTES: &'static [Route<Operation>] = ROUTES;

    async fn call(&self, operation: Operation, request: &Request, caller: &Caller) -> Result<Response, Problem> {
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
            Operation::ListSchemas => listed(&self.schemas.list(caller).await?),
            Operation::RegisterSchema => self.register_schema(request, caller).await,
            Operation::GetSchema => {
                let versions = self.versions(request, caller).await?;
                versions.last().ok_or_else(Problem::not_found).and_then(|latest| Response::ok(&SchemaView::whole(latest)))
            }
            Operation::ListSchemaVersions => listed(&self.versions(request, caller).await?),
            Operation::GetSchemaVersion => {
                let version: u32 = request.path("version")?;
                let versions = self.versions(request, caller).await?;
                let found = versions.iter().find(|schema| schema.version == version);
                found.ok_or_else(Problem::not_found).and_then(|found| Response::ok(&SchemaView::whole(found)))
            }
        }
    }
}

impl<P: CustomPackages, S: Schemas, K: Clock> CatalogueApi<P, S, K> {
    async fn put_package(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let name: String = request.path("name")?;
        let replaced = request.if_match();
        let wanted: PackageRequest = request.json()?;
        match self.packages.put(caller, &name, wanted, replaced).await {
            Ok(custom) => {
                let status = if custom.version == 1 { StatusCode::CREATED } else { StatusCode::OK };
                with_etag(&PackageRecord::Custom(custom), status)
            }
            // There is one already, and the request says nothing of it.
            Err(ServiceError::Stale) if replaced.is_none() && !request.if_none_match() => {
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
        // Relative: behind a stage, the path has a prefix.
        let location = format!("schemas/{event_type}/versions/{version}");
        Ok(Response::json(status, &SchemaView::whole(&registered.schema))?.with_header("location", location))
    }

    /// Every version of the schema that the path names; there is one at least.
    async fn versions(&self, request: &Request, caller: &Caller) -> Result<Vec<EventSchema>, Problem> {
        let event_type: CustomType = request.path("type")?;
        Ok(self.schemas.versions(caller, &event_type).await?)
    }
}

fn listed(schemas: &[EventSchema]) -> Result<Response, Problem> {
    Response::ok(&json!({"items": schemas.iter().map(SchemaView::listed).collect::<Vec<_>>()}))
}

fn with_etag(known: &PackageRecord, status: StatusCode) -> Result<Response, Problem> {
    let tag = format!("\"{}\"", known.version());
    Ok(Response::json(status, &PackageView::from(known))?.with_header("etag", tag))
}

#[cfg(test)]
mod tests;
