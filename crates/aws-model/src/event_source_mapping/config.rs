/// Configuration of an event source mapping: "Lambda parameters for Amazon Kinesis Data Streams event source mappings".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingConfig {
    /// `BatchSize`: maximum number of records per invocation, up to 10,000. Default: 100.
    pub batch_size: usize,
    /// `MaximumBatchingWindowInSeconds`, in milliseconds: how long records are batched. Default: 0.
    ///
    /// *Polling and batching streams*: the function is invoked as soon as the window closes, the batch is full, or the
    /// payload reaches 6 MB. Without a window it is invoked as soon as records are available. The guide does not say when a
    /// window opens: here, when the queue is free and its first record has arrived.
    pub window_ms: i64,
    /// `ParallelizationFactor`: concurrent batches per shard, 1 to 10. Default: 1.
    pub parallelization_factor: usize,
    /// `ReportBatchItemFailures` in `FunctionResponseTypes`. Default: off; responses are then ignored.
    pub report_batch_item_failures: bool,
    /// `BisectBatchOnFunctionError`. Default: off.
    pub bisect_batch_on_function_error: bool,
    /// `MaximumRetryAttempts`. Default: unlimited.
    pub max_retry_attempts: Option<u32>,
    /// `MaximumRecordAgeInSeconds`, in milliseconds. Default: unlimited.
    pub max_record_age_ms: Option<i64>,
    /// Retention of the stream, in milliseconds. Default: 24 h ("Changing the data retention period", Kinesis guide).
    pub retention_ms: i64,
    /// Delay between a failure and its retry, in milliseconds. The guide does not specify it. Default: 1 s.
    pub retry_pause_ms: i64,
}

impl Default for MappingConfig {
    fn default() -> Self {
        Self {
            batch_size: 100,
            window_ms: 0,
            parallelization_factor: 1,
            report_batch_item_failures: false,
            bisect_batch_on_function_error: false,
            max_retry_attempts: None,
            max_record_age_ms: None,
            retention_ms: 24 * 3_600_000,
            retry_pause_ms: 1000,
        }
    }
}
