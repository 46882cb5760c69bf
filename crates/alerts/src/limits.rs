//! Limits of rules, and of what the evaluation of a vehicle keeps.

/// Maximum bytes of the name of a rule.
pub const NAME_BYTES: usize = 128;
/// Maximum conditions of one rule, combinations included. Each is evaluated for each sample.
pub const CONDITIONS_PER_RULE: usize = 32;
/// Maximum signals that one rule reads. An alert has the last value of each, and must fit into a webhook.
pub const SIGNALS_PER_RULE: usize = 64;
/// Maximum depth of nested conditions.
pub const CONDITION_DEPTH: usize = 8;
/// Minimum seconds after an alert in which no other one is raised about the same vehicle; also the default. Limits the alerts of a
/// rule whose condition changes with each sample.
pub const MIN_COOLDOWN_S: u32 = 60;
/// Maximum seconds of a duration of a rule: seven days.
pub const MAX_DURATION_S: u32 = 7 * 24 * 60 * 60;
/// Maximum seconds over which a rate is computed: a day.
pub const MAX_RATE_WINDOW_S: u32 = 24 * 60 * 60;
/// Maximum patterns of trouble codes of one condition.
pub const DTC_PATTERNS: usize = 32;
/// Maximum positions of one geofence.
pub const FENCE_POSITIONS: usize = 1000;
/// Maximum radius or width of a geofence in metres.
pub const FENCE_SIZE_M: f64 = 500_000.0;
/// Maximum hysteresis of a geofence in metres.
pub const FENCE_HYSTERESIS_M: f64 = 10_000.0;
/// The northernmost latitude of a polygon or a corridor; the southernmost is its negative. Nearer to the poles, the plane on which
/// their distances are computed is too inexact.
pub const FENCE_LATITUDE: f64 = 85.0;
/// Maximum quiet hours of one schedule.
pub const QUIET_HOURS: usize = 16;
/// Maximum vehicles that a rule names.
pub const VEHICLES_PER_RULE: usize = 1000;
/// Maximum attributes of vehicles that a rule names.
pub const ATTRIBUTES_PER_RULE: usize = 8;
/// Maximum bytes of a text with which a signal or an attribute is compared.
pub const TEXT_BYTES: usize = 256;
/// Maximum mistakes of a rule that are reported.
pub const MISTAKES: usize = 100;
/// Maximum JSON values in a rule: each list and object counts, and so does each value in it.
pub const RULE_VALUES: usize = 10_000;

/// Maximum rules that concern one vehicle. A caller stores no more of them in the scope of one owner.
pub const RULES_PER_VEHICLE: usize = 200;
/// How much later than a newer sample a sample may arrive, in milliseconds of event time, by default.
pub const ALLOWED_LATENESS_MS: i64 = 15 * 60 * 1000;
/// Maximum samples of one vehicle that are kept for the evaluation of late data: 15 minutes at 10 Hz.
pub const KEPT_SAMPLES: usize = 9000;
/// Maximum estimated bytes of the transitions of one vehicle that are kept for late data. Beyond it, the oldest are forgotten and the
/// allowed lateness is shorter.
pub const KEPT_TRANSITION_BYTES: usize = 1024 * 1024;
/// Maximum trouble codes that an alert names.
pub const CODES_PER_ALERT: usize = 16;
/// After two readings of the speed that are further apart, in milliseconds, no acceleration is computed.
pub const SPEED_GAP_MS: i64 = 5000;
