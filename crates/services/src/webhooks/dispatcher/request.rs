//! The signed request of an attempt.

use std::collections::BTreeMap;

use roadcast_domain::Timestamp;
use roadcast_domain::trace::{SpanId, TraceContext, TraceId};
use roadcast_domain::webhook::signature::{ID_HEADER, SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER, sign};
use roadcast_domain::webhook::{Delivery, Endpoint, Payload};
use roadcast_ports::port_set::PortSet;
use roadcast_ports::webhooks::WebhookRequest;
use roadcast_ports::{PortError, PortErrorKind};

use super::Dispatcher;

/// The media type of a CloudEvent in the structured mode (CloudEvents 1.0, HTTP protocol binding, 3.2).
const CLOUD_EVENT: &str = "application/cloudevents+json; charset=utf-8";

impl<Ports: PortSet> Dispatcher<Ports> {
    /// Returns the trace context of the next attempt: a step of the trace of the event. The fleet learns nothing from it: the id of the
    /// trace is that of the event, and whether the event is traced depends on this id only.
    pub(super) fn trace_of(&self, delivery: &Delivery) -> TraceContext {
        let trace_id = match &delivery.payload {
            Payload::Event { eid, .. } => TraceId::of_event(*eid),
            Payload::Notice { .. } => TraceId::of_notice(delivery.key.delivery_id),
        };
        let span_id = SpanId::of_attempt(&delivery.key, delivery.attempts.saturating_add(1));
        TraceContext { trace_id, span_id, is_sampled: self.sampling.includes_trace(trace_id) }
    }

    /// Returns the request, signed at `now` with every secret that is in force then. The trace context is not signed, because it is not
    /// part of the message.
    pub(super) async fn request(
        &self,
        delivery: &Delivery,
        endpoint: &Endpoint,
        json: String,
        trace: TraceContext,
        now: Timestamp,
    ) -> Result<WebhookRequest, PortError> {
        let mut secrets = Vec::with_capacity(Endpoint::MAX_SECRETS);
        for sealed in endpoint.signing_secrets(now) {
            let text = self.opened.open(&endpoint.endpoint_id, &sealed.sealed).await?;
            secrets.push(text.parse::<SigningSecret>().map_err(|error| internal("reading a secret", error))?);
        }
        let mut headers = vec![("content-type".to_owned(), CLOUD_EVENT.to_owned())];
        if let Some(sealed) = &endpoint.sealed_headers {
            let text = self.opened.open(&endpoint.endpoint_id, sealed).await?;
            let opened: BTreeMap<String, String> =
                serde_json::from_str(&text).map_err(|error| internal("reading headers", error))?;
            headers.extend(opened);
        }
        headers.push((TraceContext::HEADER.to_owned(), trace.to_string()));
        let body = json.into_bytes();
        let id = delivery.key.delivery_id.to_string();
        let signed = sign(&secrets, &id, now, &body);
        headers.push((ID_HEADER.to_owned(), signed.id.to_owned()));
        headers.push((TIMESTAMP_HEADER.to_owned(), signed.timestamp));
        headers.push((SIGNATURE_HEADER.to_owned(), signed.signature));
        Ok(WebhookRequest { url: endpoint.url.clone(), any_port: endpoint.any_port, headers, body })
    }
}

fn internal(context: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> PortError {
    PortError::new(PortErrorKind::Internal, context).caused_by(error)
}
