//! The AWS resources that the adapters use, created like in the template.

use aws_sdk_cognitoidentityprovider::types::ResourceServerScopeType;
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use aws_sdk_sqs::types::QueueAttributeName;
use roadcast_aws::{Sdk, WebhookRule, keys};

pub(crate) const REGION: &str = "us-east-1";
pub(crate) const FEED_PREFIX: &str = "roadcast-test-feed-";
/// The dead-letter queue of the rules. No test sends anything to it.
pub(crate) const DEAD_LETTERS: &str = "arn:aws:sqs:us-east-1:000000000000:roadcast-test-dead-letters";

/// The rule of webhooks on further delivery buses. No test sends anything to its queue.
pub(crate) fn webhook_rule() -> WebhookRule {
    let queue_arn = "arn:aws:sqs:us-east-1:000000000000:roadcast-test-webhook-events".to_owned();
    WebhookRule { name: "roadcast-test-webhooks".to_owned(), queue_arn }
}

pub(crate) struct Stack {
    pub(crate) vehicles: String,
    pub(crate) vehicle_events: String,
    pub(crate) vehicle_state: String,
    pub(crate) feed_index: String,
    pub(crate) reference: String,
    pub(crate) stream: String,
    pub(crate) bucket: String,
    pub(crate) dead_letters: String,
    pub(crate) dead_letter_bucket: String,
    pub(crate) ingest_bus: String,
    pub(crate) delivery_bus: String,
    pub(crate) delivery_bus_arn: String,
    pub(crate) state_machine: String,
    pub(crate) user_pool: String,
    pub(crate) secret: String,
    pub(crate) deliveries: String,
    pub(crate) alert_state: String,
    pub(crate) key: String,
    pub(crate) webhook_queue: String,
    pub(crate) ordered_webhook_queue: String,
    pub(crate) dead_letter_queue: String,
}

impl Stack {
    pub(crate) async fn create(sdk: &Sdk) -> Self {
        let name = |suffix: &str| format!("roadcast-test-{suffix}");
        let buses = [name("ingest"), name("delivery")];
        let mut arns = Vec::new();
        for bus in &buses {
            let created = sdk.eventbridge().create_event_bus().name(bus).send().await.unwrap();
            arns.push(created.event_bus_arn.unwrap());
        }
        let [ingest_bus, delivery_bus] = buses;
        Self {
            vehicles: table(sdk, name("vehicles"), keys::VID, None).await,
            vehicle_events: table(sdk, name("vehicleEvents"), keys::VID, Some(keys::EID)).await,
            vehicle_state: table(sdk, name("vehicleState"), keys::VID, None).await,
            feed_index: table(sdk, name("feedIndex"), keys::FEED, Some(keys::STAMP)).await,
            reference: table(sdk, name("reference"), keys::PK, Some(keys::SK)).await,
            stream: stream(sdk, name("telemetry")).await,
            bucket: bucket(sdk, name("archive")).await,
            dead_letters: table(sdk, name("deadLetters"), keys::PK, Some(keys::SK)).await,
            dead_letter_bucket: bucket(sdk, name("dead-letters")).await,
            ingest_bus,
            delivery_bus,
            delivery_bus_arn: arns.remove(1),
            state_machine: state_machine(sdk, name("provisioning")).await,
            user_pool: user_pool(sdk, name("users")).await,
            secret: secret(sdk, name("secret")).await,
            deliveries: table(sdk, name("deliveries"), keys::PK, Some(keys::SK)).await,
            alert_state: table(sdk, name("alertState"), keys::PK, Some(keys::SK)).await,
            key: key(sdk).await,
            webhook_queue: queue(sdk, name("webhook-deliveries"), &[]).await,
            ordered_webhook_queue: queue(
                sdk,
                name("webhook-ordered.fifo"),
                &[
                    (QueueAttributeName::FifoQueue, "true"),
                    (QueueAttributeName::DeduplicationScope, "messageGroup"),
                    (QueueAttributeName::FifoThroughputLimit, "perMessageGroupId"),
                ],
            )
            .await,
            dead_letter_queue: queue(sdk, name("dead-letters"), &[]).await,
        }
    }
}

pub(crate) async fn table(sdk: &Sdk, name: String, partition: &str, sort: Option<&str>) -> String {
    let mut request = sdk.dynamodb().create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
    for (attribute, key_type) in [(Some(partition), KeyType::Hash), (sort, KeyType::Range)] {
        let Some(attribute) = attribute else { continue };
        let definition = AttributeDefinition::builder().attribute_name(attribute).attribute_type(ScalarAttributeType::S);
        let element = KeySchemaElement::builder().attribute_name(attribute).key_type(key_type);
        request = request.attribute_definitions(definition.build().unwrap()).key_schema(element.build().unwrap());
    }
    request.send().await.unwrap();
    name
}

pub(crate) async fn queue(sdk: &Sdk, name: String, attributes: &[(QueueAttributeName, &str)]) -> String {
    let attributes = attributes.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
    let request = sdk.sqs().create_queue().queue_name(name).set_attributes(Some(attributes));
    request.send().await.unwrap().queue_url.unwrap()
}

pub(crate) async fn key(sdk: &Sdk) -> String {
    sdk.kms().create_key().send().await.unwrap().key_metadata.unwrap().arn.unwrap()
}

pub(crate) async fn stream(sdk: &Sdk, name: String) -> String {
    sdk.kinesis().create_stream().stream_name(&name).shard_count(1).send().await.unwrap();
    let status = || async {
        let summary = sdk.kinesis().describe_stream_summary().stream_name(&name).send().await.unwrap();
        summary.stream_description_summary.unwrap().stream_status
    };
    while status().await != aws_sdk_kinesis::types::StreamStatus::Active {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    name
}

pub(crate) async fn bucket(sdk: &Sdk, name: String) -> String {
    sdk.s3().create_bucket().bucket(&name).send().await.unwrap();
    name
}

async fn state_machine(sdk: &Sdk, name: String) -> String {
    let definition = r#"{"StartAt":"Done","States":{"Done":{"Type":"Pass","End":true}}}"#;
    let request = sdk.step_functions().create_state_machine().name(name).definition(definition);
    request.role_arn("arn:aws:iam::000000000000:role/test").send().await.unwrap().state_machine_arn
}

async fn user_pool(sdk: &Sdk, name: String) -> String {
    let pool = sdk.cognito().create_user_pool().pool_name(name).send().await.unwrap().user_pool.unwrap().id.unwrap();
    let scopes = ["ingest", "read", "admin"]
        .map(|scope| ResourceServerScopeType::builder().scope_name(scope).scope_description(scope).build().unwrap());
    let request = sdk.cognito().create_resource_server().user_pool_id(&pool).identifier("roadcast").name("Roadcast");
    request.set_scopes(Some(scopes.into())).send().await.unwrap();
    pool
}

pub(crate) async fn secret(sdk: &Sdk, name: String) -> String {
    let value = sdk.secrets_manager().get_random_password().password_length(64).send().await.unwrap();
    let request = sdk.secrets_manager().create_secret().name(name).set_secret_string(value.random_password);
    request.send().await.unwrap().arn.unwrap()
}
