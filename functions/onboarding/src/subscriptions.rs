//! Subscriptions: created, replaced, and changed from state to state.

use http::StatusCode;
use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::ids::{FleetId, SubscriptionId, VehicleId};
use roadcast_domain::package::PackageName;
use roadcast_domain::subscription::{DeliveryFormat, Subscription, SubscriptionState, Validity};
use roadcast_lambda_kit::http::{Page, Request, Response};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::provisioning::ProvisioningWorkflow;
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_ports::vehicles::Vehicles;
use roadcast_services::fleets::{SubscriptionRequest, Transition};
use serde::Serialize;
use serde_json::json;

use crate::{OnboardingApi, last_of_full_page, page_limit};

impl<F, C, A, U, V, E, W, I, K, R, M> OnboardingApi<F, C, A, U, V, E, W, I, K, R, M>
where
    F: Fleets,
    U: Subscriptions,
    V: Vehicles,
    E: Entitlements,
    W: ProvisioningWorkflow,
    K: Clock,
    R: Randomness,
{
    pub(crate) async fn list_subscriptions(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let page = Page::new(request, caller);
        let limit = page_limit(request)?;
        let fleet_id = request.path("fleetId")?;
        let subscriptions = self.onboarding.subscriptions(caller, &fleet_id, page.start()?.as_ref(), limit).await?;
        let next = last_of_full_page(&subscriptions, limit).map(|last| &last.subscription_id);
        page.json_response(json!({"items": subscriptions.iter().map(SubscriptionView::from).collect::<Vec<_>>()}), next)
    }

    pub(crate) async fn subscribe(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let fleet_id: FleetId = request.path("fleetId")?;
        let subscription: SubscriptionRequest = request.json()?;
        let subscription = self.onboarding.subscribe(caller, &fleet_id, subscription).await?;
        let location = format!("subscriptions/{}", subscription.subscription_id);
        Ok(accepted(&subscription)?.with_header("location", location))
    }

    pub(crate) async fn get_subscription(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let (fleet_id, id) = (request.path("fleetId")?, request.path("subscriptionId")?);
        with_etag(&self.onboarding.subscription(caller, &fleet_id, &id).await?)
    }

    pub(crate) async fn replace_subscription(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let (fleet_id, id) = (request.path("fleetId")?, request.path("subscriptionId")?);
        let version = request.if_match().ok_or_else(Problem::precondition_required)?;
        let subscription: SubscriptionRequest = request.json()?;
        with_etag(&self.onboarding.replace_subscription(caller, &fleet_id, &id, subscription, version).await?)
    }

    pub(crate) async fn retry_provisioning(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let (fleet_id, id) = (request.path("fleetId")?, request.path("subscriptionId")?);
        accepted(&self.onboarding.retry_provisioning(caller, &fleet_id, &id).await?)
    }

    pub(crate) async fn transition_subscription(
        &self,
        request: &Request,
        caller: &Caller,
        transition: Transition,
    ) -> Result<Response, Problem> {
        let (fleet_id, id) = (request.path("fleetId")?, request.path("subscriptionId")?);
        with_etag(&self.onboarding.transition_subscription(caller, &fleet_id, &id, transition).await?)
    }
}

fn accepted(subscription: &Subscription) -> Result<Response, Problem> {
    Ok(Response::json(StatusCode::ACCEPTED, &SubscriptionView::from(subscription))?.with_header("retry-after", "1"))
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
    Ok(Response::ok(&SubscriptionView::from(subscription))?.with_header("etag", format!("\"{}\"", subscription.version)))
}
