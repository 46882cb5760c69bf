//! The texts of a notice: subject and body of a mail, and an SMS.

use super::AlertNotice;
use crate::alert::{AlertChange, TransitionKind};

/// Maximum characters of the subject of a mail. SNS allows less than 100 ASCII characters without control characters.
pub const MAX_SUBJECT_CHARS: usize = 99;
/// Maximum characters of an SMS, each of the basic GSM 7-bit alphabet: one message. A character outside of it would make every
/// character two bytes, and the SMS two messages.
pub const MAX_SMS_CHARS: usize = 160;
/// The letters of the basic GSM 7-bit alphabet (3GPP TS 23.038) that are not ASCII and that names are written with.
const GSM_LETTERS: &str = "äöüÄÖÜßàéèùìòÇØøÅåÆæÉÑñ£¥§¿¡";
/// Letters and the ASCII letters that replace them.
const REPLACEMENTS: &[(&str, &str)] = &[
    ("äæ", "ae"),
    ("öœ", "oe"),
    ("ü", "ue"),
    ("ÄÆ", "Ae"),
    ("ÖŒ", "Oe"),
    ("Ü", "Ue"),
    ("ß", "ss"),
    ("àáâãåąă", "a"),
    ("ÀÁÂÃÅĄĂ", "A"),
    ("çćč", "c"),
    ("ÇĆČ", "C"),
    ("èéêëęě", "e"),
    ("ÈÉÊËĘĚ", "E"),
    ("ìíîï", "i"),
    ("ÌÍÎÏ", "I"),
    ("ł", "l"),
    ("Ł", "L"),
    ("ñńň", "n"),
    ("ÑŃŇ", "N"),
    ("òóôõøő", "o"),
    ("ÒÓÔÕØŐ", "O"),
    ("řŕ", "r"),
    ("ŘŔ", "R"),
    ("śšș", "s"),
    ("ŚŠȘ", "S"),
    ("ťț", "t"),
    ("ŤȚ", "T"),
    ("ùúûůű", "u"),
    ("ÙÚÛŮŰ", "U"),
    ("ýÿ", "y"),
    ("Ý", "Y"),
    ("źżž", "z"),
    ("ŹŻŽ", "Z"),
    ("–—−", "-"),
    ("‘’`´", "'"),
    ("“”„", "\""),
    ("[{", "("),
    ("]}", ")"),
    ("\\|", "/"),
    ("~^", "-"),
    ("…", "..."),
    ("€", "EUR"),
];
/// Replaces a character that no text may have.
const UNKNOWN: &str = "?";

/// Which characters a text may have.
#[derive(Copy, Clone)]
enum Alphabet {
    /// ASCII without control characters.
    Ascii,
    /// The part of the basic GSM 7-bit alphabet of which each character takes one septet, without control characters.
    Gsm,
}

impl AlertNotice {
    /// Returns the subject of a mail, which is also the summary.
    pub fn subject(&self) -> String {
        let Self { stage, .. } = self;
        let start = format!("Roadcast {stage}: {} alert {}: ", self.severity.code(), self.what());
        fit(&start, &self.rule_name, "", MAX_SUBJECT_CHARS, Alphabet::Ascii)
    }

    /// Returns the text of an SMS.
    pub fn sms(&self) -> String {
        let Self { stage, vid, .. } = self;
        let start = format!("Roadcast {stage}: {} alert {}: ", self.severity.code(), self.what());
        // Seconds are exact enough, and the vehicle has a clock in UTC.
        let at = self.at.to_string();
        let end = format!(". {vid} {}Z", at.get(..19).unwrap_or(&at));
        fit(&start, &self.rule_name, &end, MAX_SMS_CHARS, Alphabet::Gsm)
    }

    /// Returns the text of a mail.
    pub fn mail(&self) -> String {
        let Self { rule_id, rule_version, alert_id, vid, at, raised_at, .. } = self;
        let name = without_controls(&self.rule_name);
        let late = if self.late { "\nThe data that caused it arrived late.\n" } else { "" };
        format!(
            "{sentence}\n\
             \n\
             Rule:      {name} ({rule_id}, version {rule_version})\n\
             Severity:  {severity}\n\
             Vehicle:   {vid}\n\
             Time:      {at}\n\
             Raised at: {raised_at}\n\
             Alert:     {alert_id}\n\
             Stage:     {stage}\n\
             {late}\n\
             The values are in the events of the vehicle: GET /vehicles/{vid}/events?type=roadcast.alert.v1\n",
            sentence = self.sentence(),
            severity = self.severity.code(),
            stage = self.stage,
        )
    }

    const fn what(&self) -> &'static str {
        match (self.change, self.withdraws) {
            (AlertChange::Raised, _) => "raised",
            (AlertChange::Cleared, _) => "cleared",
            (AlertChange::Withdrawn, Some(TransitionKind::Cleared)) => "not cleared",
            (AlertChange::Withdrawn, _) => "withdrawn",
        }
    }

    const fn sentence(&self) -> &'static str {
        match (self.change, self.withdraws) {
            (AlertChange::Raised, _) => "An alert was raised.",
            (AlertChange::Cleared, _) => "An alert was cleared: its condition does not hold any more.",
            (AlertChange::Withdrawn, Some(TransitionKind::Cleared)) => {
                "An alert was not cleared: late data shows that its condition still held."
            }
            (AlertChange::Withdrawn, _) => "An alert is withdrawn: late data shows that its condition did not hold.",
        }
    }
}

/// Returns `start`, `name` and `end` in an alphabet. The name is shortened so that the text has at most `limit` characters.
fn fit(start: &str, name: &str, end: &str, limit: usize, alphabet: Alphabet) -> String {
    const CUT: &str = "...";
    let [start, name, end] = [start, name, end].map(|part| in_alphabet(part, alphabet));
    let room = limit.saturating_sub(start.chars().count() + end.chars().count());
    let name = if name.chars().count() > room {
        let kept: String = name.chars().take(room.saturating_sub(CUT.len())).collect();
        format!("{}{CUT}", kept.trim_end())
    } else {
        name
    };
    // Longer only if the stage is: its name has at most 12 characters.
    format!("{start}{name}{end}").chars().take(limit).collect()
}

/// Writes a text with the characters of an alphabet, in one line.
fn in_alphabet(text: &str, alphabet: Alphabet) -> String {
    let mut written = String::with_capacity(text.len());
    for character in text.chars() {
        if is_in(character, alphabet) {
            written.push(character);
        } else if character.is_control() || character.is_whitespace() {
            written.push(' ');
        } else {
            written.push_str(replacement(character));
        }
    }
    written
}

fn is_in(character: char, alphabet: Alphabet) -> bool {
    let is_printable = matches!(character, ' '..='~');
    match alphabet {
        Alphabet::Ascii => is_printable,
        Alphabet::Gsm => (is_printable && !r"[\]^`{|}~".contains(character)) || GSM_LETTERS.contains(character),
    }
}

fn replacement(character: char) -> &'static str {
    let found = REPLACEMENTS.iter().find(|(characters, _)| characters.contains(character));
    found.map_or(UNKNOWN, |(_, replacement)| replacement)
}

/// Returns a text in one line.
fn without_controls(text: &str) -> String {
    let is_break = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    text.chars().map(|character| if is_break(character) { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use roadcast_signals::Timestamp;

    use super::*;
    use crate::alert::Severity;
    use crate::ids::{AlertId, Eid, RuleId, VehicleId};

    /// The basic GSM 7-bit alphabet without its control characters and the escape to the extension table: 3GPP TS 23.038, 6.2.1.
    const BASIC: &str = "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿\
                         abcdefghijklmnopqrstuvwxyzäöñüà";

    fn notice(name: &str) -> AlertNotice {
        let (vid, at) = (VehicleId::from_random_bits(7), Timestamp::from_ms(1_795_681_203_456));
        let rule_id = RuleId::from_random_bits(3);
        AlertNotice {
            notice_id: Eid::for_event(&vid, "s", "e", at),
            stage: "prod".to_owned(),
            alert_id: AlertId::for_alert(&rule_id, 2, &vid, at),
            change: AlertChange::Raised,
            withdraws: None,
            severity: Severity::Critical,
            rule_id,
            rule_version: 2,
            rule_name: name.to_owned(),
            vid,
            at,
            raised_at: at,
            late: false,
            summary: String::new(),
        }
    }

    #[test]
    fn texts_say_what_happened_to_which_vehicle() {
        let notice = notice("Battery low");
        let vid = &notice.vid;
        assert_eq!(notice.subject(), "Roadcast prod: critical alert raised: Battery low");
        assert_eq!(notice.sms(), format!("Roadcast prod: critical alert raised: Battery low. {vid} 2026-11-26T08:20:03Z"));
        let mail = notice.mail();
        for part in
            ["An alert was raised.\n", "Battery low (rul_", &format!("Vehicle:   {vid}\n"), "2026-11-26T08:20:03.456Z\n"]
        {
            assert!(mail.contains(part), "{part}: {mail}");
        }
        assert!(!mail.contains("late"), "{mail}");
        assert!(AlertNotice { late: true, ..notice.clone() }.mail().contains("arrived late"));
        let withdrawn = |withdraws| {
            AlertNotice { change: AlertChange::Withdrawn, withdraws: Some(withdraws), ..notice.clone() }.subject()
        };
        assert_eq!(withdrawn(TransitionKind::Raised), "Roadcast prod: critical alert withdrawn: Battery low");
        assert_eq!(withdrawn(TransitionKind::Cleared), "Roadcast prod: critical alert not cleared: Battery low");
        let cleared = AlertNotice { change: AlertChange::Cleared, ..notice.clone() };
        assert_eq!(cleared.subject(), "Roadcast prod: critical alert cleared: Battery low");
    }

    #[test]
    fn letters_outside_of_the_alphabet_are_replaced() {
        let notice = notice("Öl [2] über 120 °C – “heiß”\r\nBcc: x 電池");
        assert!(notice.subject().ends_with(": Oel [2] ueber 120 ?C - \"heiss\"  Bcc: x ??"), "{}", notice.subject());
        assert!(notice.sms().contains(": Öl (2) über 120 ?C - \"heiß\"  Bcc: x ??. veh_"), "{}", notice.sms());
        assert!(notice.mail().contains("Öl [2] über 120 °C – “heiß”  Bcc: x 電池 ("), "{}", notice.mail());
    }

    #[test]
    fn long_name_is_cut_and_the_vehicle_is_not() {
        let notice = notice(&"long ".repeat(25));
        assert!(notice.subject().ends_with("...") && notice.subject().len() == MAX_SUBJECT_CHARS, "{}", notice.subject());
        assert!(notice.sms().contains("...") && notice.sms().len() <= MAX_SMS_CHARS, "{}", notice.sms());
        assert!(notice.sms().ends_with(&format!(". {} 2026-11-26T08:20:03Z", notice.vid)), "{}", notice.sms());
    }

    #[test]
    fn replacements_are_in_both_alphabets() {
        for (_, replacement) in REPLACEMENTS {
            assert!(replacement.chars().all(|character| is_in(character, Alphabet::Ascii) && BASIC.contains(character)));
        }
        assert!(GSM_LETTERS.chars().all(|character| BASIC.contains(character)));
    }

    fn change() -> impl Strategy<Value = (AlertChange, Option<TransitionKind>)> {
        prop_oneof![
            Just((AlertChange::Raised, None)),
            Just((AlertChange::Cleared, None)),
            Just((AlertChange::Withdrawn, Some(TransitionKind::Raised))),
            Just((AlertChange::Withdrawn, Some(TransitionKind::Cleared))),
        ]
    }

    proptest! {
        /// Whatever the name of a rule is, SNS takes the subject, an SMS is one message, and no text gets a line of the name.
        #[test]
        fn texts_fit_whatever_the_name_is(
            name in prop_oneof![any::<String>(), "[\\x00-\\x1f\u{80}-\u{ff}\u{2028}a-z]{0,128}", ".{0,128}"],
            ms in any::<i64>(),
            (change, withdraws) in change(),
            severity in prop_oneof![Just(Severity::Info), Just(Severity::Warning), Just(Severity::Critical)],
            stage in "[a-z][a-z0-9]{0,11}",
        ) {
            let at = Timestamp::from_ms(ms);
            let notice = AlertNotice { stage, change, withdraws, severity, at, raised_at: at, late: true, ..notice(&name) };
            let (subject, sms, mail) = (notice.subject(), notice.sms(), notice.mail());
            prop_assert!(subject.chars().all(|character| matches!(character, ' '..='~')), "{subject}");
            prop_assert!(subject.starts_with("Roadcast ") && subject.len() <= MAX_SUBJECT_CHARS, "{subject}");
            prop_assert!(sms.chars().all(|character| BASIC.contains(character)), "{sms}");
            prop_assert!(sms.chars().count() <= MAX_SMS_CHARS && sms.contains(notice.vid.as_str()), "{sms}");
            prop_assert!(!mail.chars().any(|character| character.is_control() && character != '\n'), "{mail}");
            prop_assert_eq!(mail.lines().count(), 13, "{}", mail);
            prop_assert!(mail.contains(notice.vid.as_str()), "{mail}");
        }
    }
}
