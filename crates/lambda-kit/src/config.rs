//! Configuration from environment variables, read once, at cold start.
//!
//! No other code of a function reads the environment: `main.rs` passes on what a handler needs.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use roadcast_domain::webhook::target::{InvalidLocalSink, TargetRules};

macro_rules! variables {
    ($($(#[$doc:meta])* $name:ident = $text:literal: $content:literal,)*) => {
        /// A variable that a function may read.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Variable {
            $(#[doc = concat!("`", $text, "`: ", $content, ".")] $name,)*
        }

        impl Variable {
            /// All variables.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the name of the environment variable.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Returns what the variable must contain; it completes the text of a [`ConfigError`].
            pub const fn content(self) -> &'static str {
                match self { $(Self::$name => $content,)* }
            }
        }
    };
}

variables! {
    Stage = "STAGE": "the name of the stage, such as dev",
    LogLevel = "LOG_LEVEL": "the log level or filter, such as info or info,roadcast_services=debug",
    TracedEventsPerMillion = "TRACED_EVENTS_PER_MILLION": "the number of events of a million that are traced, from 0 to 1000000",
    XRayDaemonAddress = "AWS_XRAY_DAEMON_ADDRESS": "the address of the X-Ray daemon, which Lambda sets",
    VehiclesTable = "VEHICLES_TABLE": "the name of the DynamoDB table of vehicles",
    VehicleEventsTable = "VEHICLE_EVENTS_TABLE": "the name of the DynamoDB table of vehicle events",
    VehicleStateTable = "VEHICLE_STATE_TABLE": "the name of the DynamoDB table of vehicle states (last-known values)",
    FeedIndexTable = "FEED_INDEX_TABLE": "the name of the DynamoDB table of pointers by received time",
    StackSecretId = "STACK_SECRET_ID": "the name or ARN of the secret from which all keys of the stack are derived",
    ReferenceTable = "REFERENCE_TABLE": "the name of the DynamoDB table of fleets, clients, subscriptions and entitlements",
    TelemetryStream = "TELEMETRY_STREAM": "the name of the Kinesis stream for uploads",
    ArchiveBucket = "ARCHIVE_BUCKET": "the name of the S3 bucket for raw and quarantined records",
    DeadLetterBucket = "DEAD_LETTER_BUCKET": "the name of the S3 bucket for the bytes of dead letters",
    DeadLettersTable = "DEAD_LETTERS_TABLE": "the name of the DynamoDB table of dead letters and redrives",
    BulkDataBucket = "BULK_DATA_BUCKET": "the name of the S3 bucket for bulk files",
    IngestBus = "INGEST_BUS": "the name of the EventBridge bus for stored events",
    DeliveryBus = "DELIVERY_BUS": "the name of the EventBridge bus for delivery to fleets",
    DeliveryBusArn = "DELIVERY_BUS_ARN": "the ARN of the delivery bus, for the policies of feed queues",
    RulesPerBus = "RULES_PER_BUS": "the number of rules that a delivery bus can hold",
    FeedDeadLetterQueueArn = "FEED_DEAD_LETTER_QUEUE_ARN": "the ARN of the queue for what the rules of fleets cannot deliver",
    ProvisioningWaitSeconds = "PROVISIONING_WAIT_SECONDS": "the seconds to wait before a new feed is probed",
    ErasureWaitSeconds = "ERASURE_WAIT_SECONDS": "the seconds between the start of an erasure and its second pass",
    UserPoolId = "USER_POOL_ID": "the id of the Cognito user pool for machine clients",
    FirstAdminClientId = "FIRST_ADMIN_CLIENT_ID": "the id of the admin client of the template, which needs no record",
    ProvisioningStateMachineArn = "PROVISIONING_STATE_MACHINE_ARN": "the ARN of the provisioning state machine",
    OffboardingStateMachineArn = "OFFBOARDING_STATE_MACHINE_ARN": "the ARN of the offboarding state machine",
    ErasureStateMachineArn = "ERASURE_STATE_MACHINE_ARN": "the ARN of the state machine that erases vehicles",
    PartialBatchResponses = "PARTIAL_BATCH_RESPONSES": "true if the event source mapping applies partial batch responses, or false",
    TelemetryQueueUrl = "TELEMETRY_QUEUE_URL": "the URL of the queue of telemetry for enrichment",
    AlertsQueueUrl = "ALERTS_QUEUE_URL": "the URL of the queue of alerts for enrichment",
    StreamProcessorFunction = "STREAM_PROCESSOR_FUNCTION": "the name of the function that processes the stream, for redrives",
    ReferenceLoaderFunction = "REFERENCE_LOADER_FUNCTION": "the name of the function that imports bulk files, for redrives",
    EnrichmentQueuePrefix = "ENRICHMENT_QUEUE_PREFIX": "the prefix of the names of the queues of enrichment",
    FeedPollSeconds = "FEED_POLL_SECONDS": "the longest interval in seconds between two reads of a feed that fleets are advised",
    AlertStateTable = "ALERT_STATE_TABLE": "the name of the DynamoDB table of the state of the alert evaluator",
    AlertNoticesQueueUrl = "ALERT_NOTICES_QUEUE_URL": "the URL of the queue of notices of the operator's alerts",
    OperatorAlertsTopicArn = "OPERATOR_ALERTS_TOPIC_ARN": "the ARN of the topic of the operator's alerts",
    DeliveriesTable = "DELIVERIES_TABLE": "the name of the DynamoDB table of webhook deliveries",
    WebhookKeyArn = "WEBHOOK_KEY_ARN": "the ARN of the KMS key for the secrets of webhook endpoints",
    WebhookEventsQueueUrl = "WEBHOOK_EVENTS_QUEUE_URL": "the URL of the queue of entries for webhooks",
    WebhookEventsQueueArn = "WEBHOOK_EVENTS_QUEUE_ARN": "the ARN of the queue of entries for webhooks",
    WebhookRule = "WEBHOOK_RULE": "the name of the rule on each delivery bus that sends entries to webhooks",
    WebhookQueueUrl = "WEBHOOK_QUEUE_URL": "the URL of the queue of webhook deliveries in any order",
    WebhookOrderedQueueUrl = "WEBHOOK_ORDERED_QUEUE_URL": "the URL of the queue of webhook deliveries in order",
    BackTestQueueUrl = "BACK_TEST_QUEUE_URL": "the URL of the queue of back-tests",
    DeadLetterQueueUrl = "DEAD_LETTER_QUEUE_URL": "the URL of the queue of dead letters",
    MaxReceives = "MAX_RECEIVES": "the number of receives after which a message is a dead letter",
    LocalSinks = "LOCAL_SINKS": "the receivers on this machine that webhooks may be sent to, such as 127.0.0.1:8790,127.0.0.1:8791",
    FeedQueuePrefix = "FEED_QUEUE_PREFIX": "the prefix of the names of feed queues",
}

/// A variable that is missing or whose value is invalid. The error never contains the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The variable is not set, or empty.
    #[error("environment variable {} is not set; set it to {}", .0.name(), .0.content())]
    Missing(Variable),
    /// The value is invalid.
    #[error("environment variable {} is not {expected}; set it to {}", .variable.name(), .variable.content())]
    Invalid {
        /// The variable.
        variable: Variable,
        /// The expected form of the value.
        expected: String,
    },
}

/// The environment variables at cold start.
#[derive(Clone, Default)]
pub struct Env {
    values: HashMap<String, String>,
}

impl Env {
    /// Reads the environment of the process. Values that are not UTF-8 count as missing.
    pub fn from_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { values: std::env::vars_os().filter_map(text).collect() }
    }

    /// Creates an environment with the given values.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (Variable, &'a str)>) -> Self {
        Self { values: pairs.into_iter().map(|(variable, value)| (variable.name().to_owned(), value.to_owned())).collect() }
    }

    /// Returns the value of a variable. Fails if it is not set or empty.
    pub fn required(&self, variable: Variable) -> Result<String, ConfigError> {
        self.optional(variable).map(str::to_owned).ok_or(ConfigError::Missing(variable))
    }

    /// Returns the value of a variable, or `None` if it is not set or empty. A template sets an empty value for "no value".
    pub fn optional(&self, variable: Variable) -> Option<&str> {
        self.values.get(variable.name()).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns where webhooks may be sent: to the public Internet, and to the receivers on this machine that the variable
    /// `LOCAL_SINKS` names. The template sets it at the stage `local` only.
    pub fn target_rules(&self) -> Result<TargetRules, ConfigError> {
        let texts = self.optional(Variable::LocalSinks).into_iter().flat_map(|texts| texts.split(','));
        let expected = "hosts of this machine with their ports, separated by commas".to_owned();
        let invalid = |_| ConfigError::Invalid { variable: Variable::LocalSinks, expected };
        texts
            .map(str::parse)
            .collect::<Result<Vec<_>, InvalidLocalSink>>()
            .map(TargetRules::with_local_sinks)
            .map_err(invalid)
    }

    /// Parses the value of a variable, if it is set. `expected` completes "is not …" in the error for an invalid value.
    pub fn optional_parse<T: FromStr>(&self, variable: Variable, expected: &str) -> Result<Option<T>, ConfigError> {
        let invalid = |_| ConfigError::Invalid { variable, expected: expected.to_owned() };
        self.optional(variable).map(|value| value.parse().map_err(invalid)).transpose()
    }
}

impl fmt::Debug for Env {
    /// Shows names only, because the environment contains credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Variable::ALL.iter().filter(|v| self.optional(**v).is_some()).map(|v| v.name())).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn missing_variable_error_states_its_content() {
        let error = Env::default().required(Variable::VehiclesTable).unwrap_err().to_string();
        assert_eq!(
            error,
            "environment variable VEHICLES_TABLE is not set; set it to the name of the DynamoDB table of vehicles"
        );
    }

    #[test]
    fn empty_variable_counts_as_missing() {
        let env = Env::from_pairs([(Variable::Stage, "")]);
        assert_eq!(env.required(Variable::Stage), Err(ConfigError::Missing(Variable::Stage)));
        assert_eq!(env.optional_parse::<u32>(Variable::Stage, "a number"), Ok(None));
    }

    #[test]
    fn invalid_value_error_names_the_variable_without_its_value() {
        let env = Env::from_pairs([(Variable::Stage, "hunter2")]);
        let error = env.optional_parse::<u32>(Variable::Stage, "a number").unwrap_err().to_string();
        assert!(error.contains("STAGE is not a number"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn local_sinks_are_allowed_only_if_they_are_named() {
        let url = "http://127.0.0.1:8790/hook".parse().unwrap();
        let rules = |value| Env::from_pairs([(Variable::LocalSinks, value)]).target_rules();
        assert!(rules("").unwrap().check(&url, false).is_err());
        assert!(rules("127.0.0.1:8791,127.0.0.1:8790").unwrap().check(&url, false).is_ok());
        assert!(rules("10.0.0.1:8790").is_err());
    }

    #[test]
    fn debug_output_omits_values() {
        let text = format!("{:?}", Env::from_pairs([(Variable::UserPoolId, "eu_secret")]));
        assert_eq!(text, r#"{"USER_POOL_ID"}"#);
    }
}
