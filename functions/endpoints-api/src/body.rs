//! The bodies of rotations and redrives. The body of an endpoint is [`EndpointSettings`] of the use case.
//!
//! [`EndpointSettings`]: roadcast_services::webhooks::endpoints::EndpointSettings

use roadcast_domain::Timestamp;
use roadcast_domain::ids::DeliveryId;
use roadcast_domain::webhook::EndpointRedriveRequest;
use roadcast_lambda_kit::problem::Problem;
use serde::Deserialize;

/// The body of `POST …/secrets`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RotationInput {
    /// How long the earlier secret stays valid, in seconds.
    #[serde(default, deserialize_with = "roadcast_domain::deserialize_non_null")]
    pub(crate) overlap_seconds: Option<u32>,
}

/// The body of `PUT …/redrives/{redriveId}`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RedriveInput {
    #[serde(default, deserialize_with = "roadcast_domain::deserialize_non_null")]
    delivery_ids: Option<Vec<DeliveryId>>,
    #[serde(default, deserialize_with = "roadcast_domain::deserialize_non_null")]
    since: Option<Timestamp>,
    #[serde(default, deserialize_with = "roadcast_domain::deserialize_non_null")]
    all: Option<bool>,
}

impl RedriveInput {
    /// Returns the request. Fails with `invalid-body` unless the body has exactly one of its members.
    pub(crate) fn into_request(self) -> Result<EndpointRedriveRequest, Problem> {
        let exclusive =
            |member: &str| Err(Problem::invalid_body([member], "only one of deliveryIds, since and all is allowed"));
        match (self.delivery_ids, self.since, self.all) {
            (Some(delivery_ids), None, None) => Ok(EndpointRedriveRequest::Deliveries { delivery_ids }),
            (None, Some(since), None) => Ok(EndpointRedriveRequest::Since { since }),
            (None, None, Some(true)) => Ok(EndpointRedriveRequest::All),
            (None, None, Some(false)) => Err(Problem::invalid_body(["all"], "must be true")),
            (None, None, None) => {
                Err(Problem::invalid_body(["deliveryIds"], "one of deliveryIds, since and all is required"))
            }
            (Some(_), Some(_), _) => exclusive("since"),
            (_, _, Some(_)) => exclusive("all"),
        }
    }
}
