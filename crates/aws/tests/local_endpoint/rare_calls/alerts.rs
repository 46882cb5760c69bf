//! The rules of a fleet that is offboarded, and a task of a back-test that is delayed after a failure.

use roadcast_aws::{DynamoAlertRules, Sdk, SqsMessageDelay};
use roadcast_domain::alert::RuleOwner;
use roadcast_domain::alert_rule::AlertRuleRecord;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::ids::{FleetId, RuleId};
use roadcast_ports::alerts::AlertRules as _;
use roadcast_ports::message_delay::{FailedMessage, MessageDelay as _};
use roadcast_signals::Timestamp;

use super::REFERENCE;
use crate::stack::{self, REGION};

const QUEUE: &str = "roadcast-local-back-tests";

/// Makes the calls.
pub(super) async fn make(operator: &Sdk, provisioner: &Sdk, back_tester: &Sdk) {
    let owner = RuleOwner::Fleet(FleetId::from_random_bits(77));
    let at = Timestamp::from_ms(0);
    let rule = AlertRuleRecord {
        owner: owner.clone(),
        rule_id: RuleId::from_random_bits(77),
        version: 1,
        enabled: true,
        active_from: at,
        created_at: at,
        updated_at: at,
        definition: "{}".to_owned(),
    };
    let created = Change::alert_rule_changed(Author::Fleet, None, &rule);
    DynamoAlertRules::new(operator.dynamodb(), REFERENCE).create(&rule, 0, &created).await.unwrap();
    let rules = DynamoAlertRules::new(provisioner.dynamodb(), REFERENCE);
    assert_eq!(rules.list(&owner).await.unwrap(), std::slice::from_ref(&rule));
    rules.remove(&rule, &Change::alert_rule_removed(Author::Offboarding, &rule, at)).await.unwrap();

    let url = stack::queue(operator, QUEUE.to_owned(), &[]).await;
    let delay = SqsMessageDelay::new(back_tester.sqs(), [url]);
    let message = FailedMessage { receipt_handle: "unknown".to_owned(), delay_s: 1 };
    for delayed in delay.delay(&format!("arn:aws:sqs:{REGION}:000000000000:{QUEUE}"), &[message]).await {
        delayed.unwrap();
    }
}
