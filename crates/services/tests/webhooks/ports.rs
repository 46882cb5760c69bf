//! The ports of the simulation.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use roadcast_ports::clock::Clock as _;
use roadcast_ports::webhooks::{WebhookRequest, WebhookResponse, WebhookSender};
use roadcast_testbed::{Faulty, ManualClock, Memory, WebhookReceiver, port_set};

port_set! {
    /// Ports in memory that fail by a plan, and requests that take time.
    pub(crate) enum Simulated {
        Attempts = Faulty<Memory>;
        Deliveries = Faulty<Memory>;
        DeliveryQueue = Faulty<Memory>;
        EndpointHealths = Faulty<Memory>;
        EndpointRedrives = Faulty<Memory>;
        Endpoints = Faulty<Memory>;
        Entitlements = Faulty<Memory>;
        FailedDeliveries = Faulty<Memory>;
        Fleets = Faulty<Memory>;
        Sealer = Faulty<Memory>;
        WaitingDeliveries = Faulty<Memory>;
        WebhookSender = SlowReceiver;
    }
}

/// Endpoints whose responses take the latency that they state.
#[derive(Clone, Debug)]
pub(crate) struct SlowReceiver {
    pub(crate) clock: ManualClock,
    pub(crate) receiver: Arc<WebhookReceiver>,
}

impl WebhookSender for SlowReceiver {
    async fn post(&self, request: &WebhookRequest) -> WebhookResponse {
        let response = self.receiver.post(request).await;
        let until = self.clock.now().plus_ms(i64::from(response.latency_ms));
        // Not woken: the simulation polls what waits for time when it has advanced the clock.
        poll_fn(|_| if self.clock.now() < until { Poll::Pending } else { Poll::Ready(()) }).await;
        response
    }
}
