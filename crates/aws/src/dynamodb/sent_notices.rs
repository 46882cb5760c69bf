//! Which notices of the operator's alerts were sent, in `alertState`.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use roadcast_domain::ids::Eid;
use roadcast_ports::alert_notices::{NoticeClaim, SENT_NOTICE_DAYS, SentNotices};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use crate::dynamodb::expiry;
use crate::dynamodb::keys::{EXPIRES_AT, Key};
use crate::sdk_error::port_error;

const CLAIM: &str = "claiming a notice of an alert";
const RELEASE: &str = "releasing a notice of an alert";
const FINISH: &str = "storing that a notice of an alert was sent";
/// The end of the claim, in milliseconds since the Unix epoch.
const UNTIL: &str = "claimedUntil";
/// Whether the notice is on the bus.
const ON_BUS: &str = "onBus";
/// Whether the notice was sent.
const SENT: &str = "sent";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Which notices were sent, in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoSentNotices {
    client: Client,
    table: String,
}

impl DynamoSentNotices {
    /// Creates the adapter on the given `alertState` table.
    pub fn new(client: Client, alert_state_table: impl Into<String>) -> Self {
        Self { client, table: alert_state_table.into() }
    }

    fn update(&self, notice_id: Eid) -> UpdateItemFluentBuilder {
        let key = Key::sent_notice(notice_id).attributes();
        self.client.update_item().table_name(&self.table).set_key(Some(key))
    }
}

impl SentNotices for DynamoSentNotices {
    async fn claim(&self, notice_id: Eid, now: Timestamp, until: Timestamp) -> Result<NoticeClaim, PortError> {
        let update = self
            .update(notice_id)
            .update_expression("SET #until = :until, #expires = :expires REMOVE #sent")
            .condition_expression(
                "attribute_not_exists(#until) OR #expires <= :now_s OR (attribute_not_exists(#sent) AND #until <= :now)",
            )
            .expression_attribute_names("#until", UNTIL)
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_names("#sent", SENT)
            .expression_attribute_values(":until", number(until))
            .expression_attribute_values(":expires", expiry::seconds(now.plus_ms(SENT_NOTICE_DAYS * DAY_MS)))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":now_s", expiry::seconds(now))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match update.send().await {
            Ok(output) => Ok(NoticeClaim::Granted { on_bus: is_true(output.attributes.as_ref(), ON_BUS) }),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) if is_true(failed.item.as_ref(), SENT) => {
                    Ok(NoticeClaim::Sent)
                }
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(NoticeClaim::Held),
                _ => Err(port_error(CLAIM, error)),
            },
        }
    }

    async fn release(&self, notice_id: Eid, until: Timestamp, on_bus: bool) -> Result<(), PortError> {
        let update = self
            .update(notice_id)
            .update_expression("SET #until = :ended, #on_bus = :on_bus")
            .condition_expression("#until = :until AND attribute_not_exists(#sent)")
            .expression_attribute_names("#until", UNTIL)
            .expression_attribute_names("#on_bus", ON_BUS)
            .expression_attribute_names("#sent", SENT)
            .expression_attribute_values(":ended", number(Timestamp::from_ms(0)))
            .expression_attribute_values(":on_bus", AttributeValue::Bool(on_bus))
            .expression_attribute_values(":until", number(until));
        match update.send().await.map_err(|error| port_error(RELEASE, error)) {
            // It was claimed again.
            Err(error) if error.kind() == PortErrorKind::Conflict => Ok(()),
            released => released.map(|_| ()),
        }
    }

    async fn finish(&self, notice_id: Eid) -> Result<(), PortError> {
        let update = self
            .update(notice_id)
            .update_expression("SET #sent = :sent")
            .condition_expression("attribute_exists(#until)")
            .expression_attribute_names("#sent", SENT)
            .expression_attribute_names("#until", UNTIL)
            .expression_attribute_values(":sent", AttributeValue::Bool(true));
        match update.send().await.map_err(|error| port_error(FINISH, error)) {
            // The claim has expired: an item without an expiry would be kept forever.
            Err(error) if error.kind() == PortErrorKind::Conflict => Ok(()),
            finished => finished.map(|_| ()),
        }
    }
}

fn number(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.ms().to_string())
}

fn is_true(item: Option<&HashMap<String, AttributeValue>>, name: &str) -> bool {
    item.and_then(|item| item.get(name)).is_some_and(|value| value.as_bool() == Ok(&true))
}
