//! The HTTP API of the catalogue: signals, packages that grant them, and schemas of custom events. It also responds to the
//! requests for which API Gateway found no operation.

mod signals;
mod view;

use http::StatusCode;
use http::header::{ETAG, LOCATION};
use roadcast_domain::event::CustomType;
use roadcast_domain::schema::EventSchema;
use roadcast_lambda_kit::http::{
    Api, ApiRequest as _, ApiResponse as _, Call, ContractPath, Operation, Request, Response, response, serve,
};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::port_set::PortSet;
use roadcast_services::authz::{Admin, AnyClient};
use roadcast_services::catalogue::event_schemas::SchemaRegistration;
use roadcast_services::catalogue::packages::{PackageCatalogue, PackageRecord, PackageRequest};
use roadcast_services::{ServiceError, VersionCondition};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::signals::ListSignals;
use crate::view::{PackageView, SchemaView};

/// The HTTP API of the catalogue.
pub struct CatalogueApi<Ports: PortSet> {
    /// Lists and replaces packages.
    pub packages: PackageCatalogue<Ports>,
    /// Registers and lists event schemas.
    pub schemas: SchemaRegistration<Ports>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaInput {
    #[serde(rename = "type")]
    event_type: String,
    /// The schema as received, because parsing it would hide duplicate object keys from the validation.
    schema: Box<RawValue>,
}

impl<Ports: PortSet> Api for CatalogueApi<Ports> {
    const OPERATIONS: &'static [Operation<Self>] = &[
        Operation::new("GET", "/signals", serve!(list_signals)),
        Operation::new("GET", "/packages", serve!(list_packages)),
        Operation::new("GET", "/packages/{name}", serve!(get_package)),
        Operation::new("PUT", "/packages/{name}", serve!(put_package)),
        Operation::new("GET", "/schemas", serve!(list_schemas)),
        Operation::new("POST", "/schemas", serve!(register_schema)).with_idempotency_key(),
        Operation::new("GET", "/schemas/{type}", serve!(get_schema)),
        Operation::new("GET", "/schemas/{type}/versions", serve!(list_schema_versions)),
        Operation::new("GET", "/schemas/{type}/versions/{version}", serve!(get_schema_version)),
    ];
    const CONTRACT: &'static [ContractPath] = include!(concat!(env!("OUT_DIR"), "/contract.rs"));
}

impl<Ports: PortSet> CatalogueApi<Ports> {
    async fn list_signals(&self, call: Call<'_, ListSignals, AnyClient>) -> Result<Response, Problem> {
        let all = self.packages.list().await?;
        signals::list(call, &all.iter().map(PackageRecord::package).cloned().collect()).await
    }

    async fn list_packages(&self, _: Call<'_, (), AnyClient>) -> Result<Response, Problem> {
        let all = self.packages.list().await?;
        response::ok(&json!({"items": all.iter().map(PackageView::from).collect::<Vec<_>>()}))
    }

    async fn get_package(&self, Call { request, .. }: Call<'_, (), AnyClient>) -> Result<Response, Problem> {
        let name: String = request.path_parameter("name")?;
        with_etag(&self.packages.get(&name).await?, StatusCode::OK)
    }

    async fn put_package(&self, Call { request, caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        let name: String = request.path_parameter("name")?;
        let condition = request.version_condition();
        let package: PackageRequest = request.json()?;
        match self.packages.put(&caller, &name, package, &condition).await {
            Ok(custom) => {
                let status = if custom.version == 1 { StatusCode::CREATED } else { StatusCode::OK };
                with_etag(&PackageRecord::Custom(custom), status)
            }
            // The package exists, and the request has no precondition.
            Err(ServiceError::Stale) if condition == VersionCondition::default() => Err(Problem::precondition_required()),
            Err(error) => Err(error.into()),
        }
    }

    async fn list_schemas(&self, _: Call<'_, (), AnyClient>) -> Result<Response, Problem> {
        schema_list(&self.schemas.list().await?)
    }

    async fn register_schema(&self, Call { request, caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        let SchemaInput { event_type, schema } = request.json()?;
        let registered = self.schemas.register(&caller, &event_type, schema.get()).await?;
        let status = if registered.is_new { StatusCode::CREATED } else { StatusCode::OK };
        let EventSchema { event_type, version, .. } = &registered.schema;
        // Relative, because the stage may add a path prefix.
        let location = format!("schemas/{event_type}/versions/{version}");
        response::json(status, &SchemaView::full(&registered.schema))?.with_header(LOCATION, location)
    }

    async fn get_schema(&self, call: Call<'_, (), AnyClient>) -> Result<Response, Problem> {
        let versions = self.versions(call.request).await?;
        versions.last().ok_or_else(Problem::not_found).and_then(|latest| response::ok(&SchemaView::full(latest)))
    }

    async fn list_schema_versions(&self, call: Call<'_, (), AnyClient>) -> Result<Response, Problem> {
        schema_list(&self.versions(call.request).await?)
    }

    async fn get_schema_version(&self, call: Call<'_, (), AnyClient>) -> Result<Response, Problem> {
        let version: u32 = call.request.path_parameter("version")?;
        let versions = self.versions(call.request).await?;
        let found = versions.iter().find(|schema| schema.version == version);
        found.ok_or_else(Problem::not_found).and_then(|found| response::ok(&SchemaView::full(found)))
    }

    /// Returns all versions of the schema in the path, at least one.
    async fn versions(&self, request: &Request) -> Result<Vec<EventSchema>, Problem> {
        let event_type: CustomType = request.path_parameter("type")?;
        Ok(self.schemas.versions(&event_type).await?)
    }
}

fn schema_list(schemas: &[EventSchema]) -> Result<Response, Problem> {
    response::ok(&json!({"items": schemas.iter().map(SchemaView::summary).collect::<Vec<_>>()}))
}

fn with_etag(package: &PackageRecord, status: StatusCode) -> Result<Response, Problem> {
    let tag = format!("\"{}\"", package.version());
    response::json(status, &PackageView::from(package))?.with_header(ETAG, tag)
}

#[cfg(test)]
mod tests;
