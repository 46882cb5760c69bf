//! `SNS` adapter: the topic of the operator's alerts.

use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use roadcast_domain::alert_notice::AlertNotice;
use roadcast_ports::alert_notices::NoticeTopic;
use roadcast_ports::{PortError, PortErrorKind};
use serde_json::json;

use crate::sdk::LazyClient;
use crate::sdk_error::port_error;

const PUBLISH: &str = "publishing a notice to the topic of alerts";

/// The topic in SNS.
#[derive(Clone, Debug)]
pub struct SnsNoticeTopic {
    client: LazyClient<Client>,
    topic_arn: String,
}

impl SnsNoticeTopic {
    /// Creates the adapter on the topic with this ARN.
    pub fn new(client: LazyClient<Client>, topic_arn: impl Into<String>) -> Self {
        Self { client, topic_arn: topic_arn.into() }
    }
}

impl NoticeTopic for SnsNoticeTopic {
    async fn publish(&self, notice: &AlertNotice) -> Result<(), PortError> {
        let internal = |error| PortError::new(PortErrorKind::Internal, PUBLISH).caused_by(error);
        let mut request = self
            .client
            .publish()
            .topic_arn(&self.topic_arn)
            .subject(notice.subject())
            .message_structure("json")
            .message(message(notice).map_err(internal)?);
        for (name, value) in attributes(notice) {
            let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            let value = value.map_err(|error| PortError::new(PortErrorKind::Internal, PUBLISH).caused_by(error))?;
            request = request.message_attributes(name, value);
        }
        request.send().await.map(|_| ()).map_err(|error| port_error(PUBLISH, error))
    }
}

/// Returns the message of each protocol as JSON. Protocols without a member of their own get `default`.
fn message(notice: &AlertNotice) -> serde_json::Result<String> {
    let default = serde_json::to_string(notice)?;
    Ok(json!({ "default": default, "email": notice.mail(), "sms": notice.sms() }).to_string())
}

/// Returns the attributes by which the filter policy of a subscription selects notices.
fn attributes(notice: &AlertNotice) -> [(&'static str, &str); 3] {
    [("severity", notice.severity.code()), ("change", notice.change.code()), ("ruleId", notice.rule_id.as_str())]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use roadcast_domain::Timestamp;
    use roadcast_domain::alert::{AlertChange, Severity};
    use roadcast_domain::ids::{AlertId, Eid, RuleId, VehicleId};
    use serde_json::Value;

    use super::*;
    use crate::fake_aws::{FakeAws, Response};

    fn notice() -> AlertNotice {
        let (vid, rule_id, at) = (VehicleId::from_random_bits(1), RuleId::from_random_bits(2), Timestamp::from_ms(0));
        AlertNotice {
            notice_id: Eid::for_event(&vid, "urn:test", "1", at),
            stage: "dev".to_owned(),
            alert_id: AlertId::for_alert(&rule_id, 1, &vid, at),
            change: AlertChange::Raised,
            withdraws: None,
            severity: Severity::Warning,
            rule_id,
            rule_version: 1,
            rule_name: "Öl \"low\"".to_owned(),
            vid,
            at,
            raised_at: at,
            late: false,
            summary: "Oel".to_owned(),
        }
    }

    #[test]
    fn each_protocol_gets_its_text_and_programs_get_the_notice() {
        let (notice, message) = (notice(), message(&notice()).unwrap());
        let message: Value = serde_json::from_str(&message).unwrap();
        assert_eq!((&message["email"], &message["sms"]), (&json!(notice.mail()), &json!(notice.sms())));
        assert_eq!(serde_json::from_str::<AlertNotice>(message["default"].as_str().unwrap()).unwrap(), notice);
        let expected = [("severity", "warning"), ("change", "raised"), ("ruleId", notice.rule_id.as_str())];
        assert_eq!(attributes(&notice), expected);
    }

    #[tokio::test]
    async fn refused_notice_is_an_error() {
        let response = "<ErrorResponse><Error><Code>NotFound</Code><Message>no topic</Message></Error></ErrorResponse>";
        let fake = FakeAws::with_responses([Response::error(404, response)]);
        let error = SnsNoticeTopic::new(fake.sdk().sns(), "arn:topic").publish(&notice()).await.unwrap_err();
        assert!(error.to_string().starts_with(PUBLISH), "{error}");
    }
}
