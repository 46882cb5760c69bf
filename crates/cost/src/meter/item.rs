//! The items of an AWS bill.

/// A billed item. Its name is that in the price sheet, `infra/prices.csv`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the price sheet describes each item and its unit
pub enum Item {
    LambdaRequest,
    LambdaGbSecond,
    LambdaGbSecondX86,
    RestRequest,
    DynamodbWriteUnit,
    DynamodbReadUnit,
    DynamodbStorage,
    DynamodbBackup,
    KinesisShardHour,
    KinesisPutUnit,
    KinesisConsumerHour,
    KinesisRetrievedGb,
    BusChunk,
    SqsRequest,
    IotConnectionMinute,
    IotRule,
    IotAction,
    S3Put,
    S3Storage,
    DataOut,
    LogGb,
    MetricMonth,
    AlarmMonth,
    CompositeAlarmMonth,
    DashboardMonth,
    Trace,
    CognitoClientMonth,
    CognitoClientMonthUnbilled,
    CognitoToken,
    SecretMonth,
    SecretRead,
    KmsKeyMonth,
    KmsRequest,
}

impl Item {
    /// Every item, in the order of the price sheet.
    pub const ALL: [Self; 33] = [
        Self::LambdaRequest,
        Self::LambdaGbSecond,
        Self::LambdaGbSecondX86,
        Self::RestRequest,
        Self::DynamodbWriteUnit,
        Self::DynamodbReadUnit,
        Self::DynamodbStorage,
        Self::DynamodbBackup,
        Self::KinesisShardHour,
        Self::KinesisPutUnit,
        Self::KinesisConsumerHour,
        Self::KinesisRetrievedGb,
        Self::BusChunk,
        Self::SqsRequest,
        Self::IotConnectionMinute,
        Self::IotRule,
        Self::IotAction,
        Self::S3Put,
        Self::S3Storage,
        Self::DataOut,
        Self::LogGb,
        Self::MetricMonth,
        Self::AlarmMonth,
        Self::CompositeAlarmMonth,
        Self::DashboardMonth,
        Self::Trace,
        Self::CognitoClientMonth,
        Self::CognitoClientMonthUnbilled,
        Self::CognitoToken,
        Self::SecretMonth,
        Self::SecretRead,
        Self::KmsKeyMonth,
        Self::KmsRequest,
    ];

    /// Returns its name in the price sheet.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LambdaRequest => "lambda_request",
            Self::LambdaGbSecond => "lambda_gb_second",
            Self::LambdaGbSecondX86 => "lambda_gb_second_x86",
            Self::RestRequest => "rest_request",
            Self::DynamodbWriteUnit => "dynamodb_write_unit",
            Self::DynamodbReadUnit => "dynamodb_read_unit",
            Self::DynamodbStorage => "dynamodb_storage",
            Self::DynamodbBackup => "dynamodb_backup",
            Self::KinesisShardHour => "kinesis_shard_hour",
            Self::KinesisPutUnit => "kinesis_put_unit",
            Self::KinesisConsumerHour => "kinesis_consumer_hour",
            Self::KinesisRetrievedGb => "kinesis_retrieved_gb",
            Self::BusChunk => "bus_chunk",
            Self::SqsRequest => "sqs_request",
            Self::IotConnectionMinute => "iot_connection_minute",
            Self::IotRule => "iot_rule",
            Self::IotAction => "iot_action",
            Self::S3Put => "s3_put",
            Self::S3Storage => "s3_storage",
            Self::DataOut => "data_out",
            Self::LogGb => "log_gb",
            Self::MetricMonth => "metric_month",
            Self::AlarmMonth => "alarm_month",
            Self::CompositeAlarmMonth => "composite_alarm_month",
            Self::DashboardMonth => "dashboard_month",
            Self::Trace => "trace",
            Self::CognitoClientMonth => "cognito_client_month",
            Self::CognitoClientMonthUnbilled => "cognito_client_month_unbilled",
            Self::CognitoToken => "cognito_token",
            Self::SecretMonth => "secret_month",
            Self::SecretRead => "secret_read",
            Self::KmsKeyMonth => "kms_key_month",
            Self::KmsRequest => "kms_request",
        }
    }

    /// Returns the item with this name, or `None` if there is none.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|item| item.name() == name)
    }
}
