//! Configuration from the environment, read once, at cold start.
//!
//! Nothing else in a function reads the environment: what a handler needs is handed to it.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

macro_rules! variables {
    ($($(#[$doc:meta])* $name:ident = $text:literal: $purpose:literal,)*) => {
        /// A variable that a function may read.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Variable {
            $(#[doc = concat!("`", $text, "`: ", $purpose, ".")] $name,)*
        }

        impl Variable {
            /// Every variable.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in the environment.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it is for, as a configuration error says it.
            pub const fn purpose(self) -> &'static str {
                match self { $(Self::$name => $purpose,)* }
            }
        }
    };
}

variables! {
    Stage = "STAGE": "the stage's name, such as dev",
    LogLevel = "LOG_LEVEL": "what is logged, such as info or info,roadcast_services=debug",
    VehiclesTable = "VEHICLES_TABLE": "the table of vehicles",
    VehicleEventsTable = "VEHICLE_EVENTS_TABLE": "the table of vehicle events",
    VehicleStateTable = "VEHICLE_STATE_TABLE": "the table of last-known values",
    FeedIndexTable = "FEED_INDEX_TABLE": "the table of pointers by received time",
    ReferenceTable = "REFERENCE_TABLE": "the table of fleets, clients, subscriptions and entitlements",
    TelemetryStream = "TELEMETRY_STREAM": "the stream that uploads are put onto",
    ArchiveBucket = "ARCHIVE_BUCKET": "the bucket of raw and quarantined records",
    BulkDataBucket = "BULK_DATA_BUCKET": "the bucket that files of bulk data are put into",
    IngestBus = "INGEST_BUS": "the bus that stored events are published on",
    DeliveryBus = "DELIVERY_BUS": "the bus that carries events to fleets",
    DeliveryBusArn = "DELIVERY_BUS_ARN": "the delivery bus, for the policies of feed queues",
    UserPoolId = "USER_POOL_ID": "the user pool that machine clients are made in",
    ProvisioningStateMachineArn = "PROVISIONING_STATE_MACHINE_ARN": "the workflow that provisions subscriptions",
    OffboardingStateMachineArn = "OFFBOARDING_STATE_MACHINE_ARN": "the workflow that removes what leaving fleets have",
    FeedQueuePrefix = "FEED_QUEUE_PREFIX": "what the names of feed queues begin with",
}

/// A variable that is missing, or whose value does not parse. It never holds the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is not set, or empty.
    #[error("the environment variable {} is not set; it names {}", .0.name(), .0.purpose())]
    Missing(Variable),
    /// It is set to something else than what is needed.
    #[error("the environment variable {} is not {expected}; it names {}", .variable.name(), .variable.purpose())]
    Invalid {
        /// Which.
        variable: Variable,
        /// What its value should have been.
        expected: String,
    },
}

/// The environment as it was at cold start.
#[derive(Clone, Default)]
pub struct Env {
    values: HashMap<String, String>,
}

impl Env {
    /// The process's environment. Values that are not UTF-8 count as missing.
    pub fn from_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { values: std::env::vars_os().filter_map(text).collect() }
    }

    /// An environment of just these values.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (Variable, &'a str)>) -> Self {
        Self { values: pairs.into_iter().map(|(variable, value)| (variable.name().to_owned(), value.to_owned())).collect() }
    }

    /// The variable's value; it is an error that there is none.
    pub fn required(&self, variable: Variable) -> Result<String, ConfigError> {
        self.optional(variable).map(str::to_owned).ok_or(ConfigError::Missing(variable))
    }

    /// The variable's value, if there is one. An empty one is none: that is how a template says that it has none.
    pub fn optional(&self, variable: Variable) -> Option<&str> {
        self.values.get(variable.name()).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The variable's value as a `T`, if there is one; `expected` completes "is not …" where it does not parse.
    pub fn optional_parse<T: FromStr>(&self, variable: Variable, expected: &str) -> Result<Option<T>, ConfigError> {
        let invalid = |_| ConfigError::Invalid { variable, expected: expected.to_owned() };
        self.optional(variable).map(|value| value.parse().map_err(invalid)).transpose()
    }
}

impl fmt::Debug for Env {
    /// Names only: the environment holds credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Variable::ALL.iter().filter(|v| self.optional(**v).is_some()).map(|v| v.name())).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_missing_variable_is_named_with_what_it_is_for() {
        let error = Env::default().required(Variable::VehiclesTable).unwrap_err().to_string();
        assert_eq!(error, "the environment variable VEHICLES_TABLE is not set; it names the table of vehicles");
    }

    #[test]
    fn an_empty_variable_counts_as_missing() {
        let env = Env::from_pairs([(Variable::Stage, "")]);
        assert_eq!(env.required(Variable::Stage), Err(ConfigError::Missing(Variable::Stage)));
        assert_eq!(env.optional_parse::<u32>(Variable::Stage, "a number"), Ok(None));
    }

    #[test]
    fn a_value_that_does_not_parse_is_named_but_not_repeated() {
        let env = Env::from_pairs([(Variable::Stage, "hunter2")]);
        let error = env.optional_parse::<u32>(Variable::Stage, "a number").unwrap_err().to_string();
        assert!(error.contains("STAGE is not a number"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn debug_shows_no_values() {
        let text = format!("{:?}", Env::from_pairs([(Variable::UserPoolId, "eu_secret")]));
        assert_eq!(text, r#"{"USER_POOL_ID"}"#);
    }
}
