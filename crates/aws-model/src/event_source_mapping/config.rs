/// Settings of a mapping: "Lambda parameters for Amazon Kinesis Data Streams event source mappings".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingConfig {
    /// `BatchSize`: records of one call, at most; 100 unless set, up to 10,000.
    pub batch_size: usize,
    /// `MaximumBatchingWindowInSeconds`, in milliseconds: how long records are gathered. 0 unless set.
    ///
    /// *Polling and batching streams*: the function is called as soon as the window closes, the batch is full, or the payload
    /// reaches 6 MB. Without a window it is called as soon as there are records. The guide does not say when a window
    /// opens: here, when the lane is free and its first record has arrived.
    pub window_ms: i64,
    /// `ParallelizationFactor`: concurrent batches of a shard, 1 to 10; 1 unless set.
    pub parallelization_factor: usize,
    /// `ReportBatchItemFailures` in `FunctionResponseTypes`; off unless set, and then answers are not looked at.
    pub report_batch_item_failures: bool,
    /// `BisectBatchOnFunctionError`; off unless set.
    pub bisect_batch_on_function_error: bool,
    /// `MaximumRetryAttempts`; without end unless set.
    pub max_retry_attempts: Option<u32>,
    /// `MaximumRecordAgeInSeconds`, in milliseconds; without end unless set.
    pub max_record_age_ms: Option<i64>,
    /// How long the stream keeps a record: 24 h unless set ("Changing the data retention period", Kinesis guide).
    pub retention_ms: i64,
    /// How long after a failure the retry comes. The guide names no figure; 1 s unless set.
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
