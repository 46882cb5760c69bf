//! Subscriptions: created, replaced, and changed from state to state.

use http::StatusCode;
use http::header::{ETAG, LOCATION, RETRY_AFTER};
use roadcast_domain::Timestamp;
use roadcast_domain::ids::{FleetId, SubscriptionId, VehicleId};
use roadcast_domain::package::PackageName;
use roadcast_domain::subscription::{DeliveryFormat, Subscription, SubscriptionState, Validity};
use roadcast_lambda_kit::http::{ApiRequest as _, ApiResponse as _, Call, Page, Response, response};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::port_set::PortSet;
use roadcast_services::authz::{Admin, Reader};
use roadcast_services::fleets::{SubscriptionRequest, Transition};
use serde::Serialize;
use serde_json::json;

use crate::{OnboardingApi, PageQuery, last_of_full_page};

impl<Ports: PortSet> OnboardingApi<Ports> {
    pub(crate) async fn list_subscriptions(
        &self,
        Call { query, request, caller }: Call<'_, PageQuery, Reader>,
    ) -> Result<Response, Problem> {
        let page = Page::new(request, &caller, query.cursor);
        let limit = query.limit;
        let fleet = caller.of_fleet(&request.path_parameter("fleetId")?)?;
        let subscriptions = self.onboarding.subscriptions(&fleet, page.start().await?.as_ref(), limit).await?;
        let next = last_of_full_page(&subscriptions, limit).map(|last| &last.subscription_id);
        page.json_response(json!({"items": subscriptions.iter().map(SubscriptionView::from).collect::<Vec<_>>()}), next)
            .await
    }

    pub(crate) async fn subscribe(&self, Call { request, caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        let fleet_id: FleetId = request.path_parameter("fleetId")?;
        let subscription: SubscriptionRequest = request.json()?;
        let subscription = self.onboarding.subscribe(&caller, &fleet_id, subscription).await?;
        let location = format!("subscriptions/{}", subscription.subscription_id);
        accepted(&subscription)?.with_header(LOCATION, location)
    }

    pub(crate) async fn get_subscription(
        &self,
        Call { request, caller, .. }: Call<'_, (), Reader>,
    ) -> Result<Response, Problem> {
        let (fleet_id, id) = (request.path_parameter("fleetId")?, request.path_parameter("subscriptionId")?);
        with_etag(&self.onboarding.subscription(&caller.of_fleet(&fleet_id)?, &id).await?)
    }

    pub(crate) async fn replace_subscription(
        &self,
        Call { request, caller, .. }: Call<'_, (), Admin>,
    ) -> Result<Response, Problem> {
        let (fleet_id, id) = (request.path_parameter("fleetId")?, request.path_parameter("subscriptionId")?);
        let condition = request.version_condition();
        if !condition.requires_existence() {
            return Err(Problem::precondition_required());
        }
        let subscription: SubscriptionRequest = request.json()?;
        with_etag(&self.onboarding.replace_subscription(&caller, &fleet_id, &id, subscription, condition).await?)
    }

    pub(crate) async fn retry_provisioning(
        &self,
        Call { request, caller, .. }: Call<'_, (), Admin>,
    ) -> Result<Response, Problem> {
        let (fleet_id, id) = (request.path_parameter("fleetId")?, request.path_parameter("subscriptionId")?);
        accepted(&self.onboarding.retry_provisioning(&caller, &fleet_id, &id).await?)
    }

    pub(crate) async fn suspend(&self, call: Call<'_, (), Admin>) -> Result<Response, Problem> {
        self.transition(call, Transition::Suspend).await
    }

    pub(crate) async fn resume(&self, call: Call<'_, (), Admin>) -> Result<Response, Problem> {
        self.transition(call, Transition::Resume).await
    }

    pub(crate) async fn revoke(&self, call: Call<'_, (), Admin>) -> Result<Response, Problem> {
        self.transition(call, Transition::Revoke).await
    }

    async fn transition(
        &self,
        Call { request, caller, .. }: Call<'_, (), Admin>,
        transition: Transition,
    ) -> Result<Response, Problem> {
        let (fleet_id, id) = (request.path_parameter("fleetId")?, request.path_parameter("subscriptionId")?);
        with_etag(&self.onboarding.transition_subscription(&caller, &fleet_id, &id, transition).await?)
    }
}

fn accepted(subscription: &Subscription) -> Result<Response, Problem> {
    response::json(StatusCode::ACCEPTED, &SubscriptionView::from(subscription))?.with_header(RETRY_AFTER, "1")
}

/// The JSON representation of a subscription. Its version is in the `ETag`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionView<'s> {
    subscription_id: &'s SubscriptionId,
    fleet_id: &'s FleetId,
    vehicles: &'s [VehicleId],
    packages: &'s [PackageName],
    delivery_format: DeliveryFormat,
    #[serde(flatten)]
    validity: Validity,
    state: SubscriptionState,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'s str>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'s> From<&'s Subscription> for SubscriptionView<'s> {
    fn from(subscription: &'s Subscription) -> Self {
        Self {
            subscription_id: &subscription.subscription_id,
            fleet_id: &subscription.fleet_id,
            vehicles: &subscription.vehicles,
            packages: &subscription.packages,
            delivery_format: subscription.delivery_format,
            validity: subscription.validity,
            state: subscription.state,
            reason: subscription.reason.as_deref(),
            created_at: subscription.created_at,
            updated_at: subscription.updated_at,
        }
    }
}

fn with_etag(subscription: &Subscription) -> Result<Response, Problem> {
    response::ok(&SubscriptionView::from(subscription))?.with_header(ETAG, format!("\"{}\"", subscription.version))
}
