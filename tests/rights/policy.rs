//! Evaluation of policies, as IAM does it for identity-based policies: an explicit deny wins, and what no statement allows
//! is not allowed. Pages: "Policy evaluation logic" and "IAM JSON policy elements" of the IAM user guide.

use std::collections::BTreeSet;

/// A statement of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) sid: String,
    pub(crate) denies: bool,
    pub(crate) actions: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) conditions: Vec<Condition>,
}

/// A condition: all conditions of a statement must be met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) operator: String,
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
}

/// What IAM checks for a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Request {
    pub(crate) action: String,
    pub(crate) resource: String,
    /// The values of `dynamodb:LeadingKeys`; if there are none, the key is absent, as for a scan.
    pub(crate) leading_keys: BTreeSet<String>,
}

/// The result of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The statement with this index is the first one that allows the request.
    Allowed(usize),
    /// No statement allows it, or one denies it.
    NotAllowed,
}

/// Evaluates the statements of a role.
pub(crate) fn evaluate(statements: &[Statement], request: &Request) -> Decision {
    let mut allowing = None;
    for (index, statement) in statements.iter().enumerate().filter(|(_, statement)| statement.applies_to(request)) {
        if statement.denies {
            return Decision::NotAllowed;
        }
        allowing = allowing.or(Some(index));
    }
    allowing.map_or(Decision::NotAllowed, Decision::Allowed)
}

impl Statement {
    fn applies_to(&self, request: &Request) -> bool {
        self.actions.iter().any(|action| action_matches(action, &request.action))
            && self.resources.iter().any(|resource| matches(resource, &request.resource))
            && self.conditions.iter().all(|condition| condition.is_met_by(request))
    }
}

/// Whether the name of an action, which may have wildcards and is not case-sensitive, names the action.
pub(crate) fn action_matches(pattern: &str, action: &str) -> bool {
    matches(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase())
}

impl Condition {
    fn is_met_by(&self, request: &Request) -> bool {
        let none = BTreeSet::new();
        // Of all condition keys, the calls only have this one.
        let is_leading_keys = self.key.eq_ignore_ascii_case("dynamodb:LeadingKeys");
        let present = if is_leading_keys { &request.leading_keys } else { &none };
        let (quantifier, operator) = match self.operator.split_once(':') {
            Some((quantifier, operator)) => (Some(quantifier), operator),
            None => (None, self.operator.as_str()),
        };
        let matches_one = |value: &String| match operator {
            "StringEquals" => self.values.contains(value),
            "StringLike" => self.values.iter().any(|pattern| matches(pattern, value)),
            other => panic!("the evaluation of the condition operator {other} is not implemented"),
        };
        match (quantifier, operator) {
            (None, "Null") => self.values.iter().any(|value| (value == "true") == present.is_empty()),
            // True also if the key is absent.
            (Some("ForAllValues"), _) => present.iter().all(matches_one),
            (None, _) if present.len() > 1 => false,
            (Some("ForAnyValue") | None, _) => present.iter().any(matches_one),
            (Some(other), _) => panic!("unknown set operator {other}"),
        }
    }
}

/// Whether a text matches a pattern, in which `*` stands for any text and `?` for one character.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // Positions after the last `*`, and of the text that it has covered so far.
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after, covered)) = star else { return false };
                star = Some((after, covered + 1));
                p = after;
                t = covered + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(|&value| value.to_owned()).collect()
    }

    fn statement(actions: &[&str], resource: &str, conditions: Vec<Condition>) -> Statement {
        let (actions, resources) = (texts(actions), texts(&[resource]));
        Statement { sid: "S".to_owned(), denies: false, actions, resources, conditions }
    }

    fn condition(operator: &str, values: &[&str]) -> Condition {
        Condition { operator: operator.to_owned(), key: "dynamodb:LeadingKeys".to_owned(), values: texts(values) }
    }

    fn request(action: &str, leading_keys: &[&str]) -> Request {
        let leading_keys = texts(leading_keys).into_iter().collect();
        Request { action: action.to_owned(), resource: "table/reference".to_owned(), leading_keys }
    }

    fn allows(statement: &Statement, request: &Request) -> bool {
        evaluate(std::slice::from_ref(statement), request) == Decision::Allowed(0)
    }

    #[test]
    fn wildcards_match_any_text_or_one_character() {
        for (pattern, text) in
            [("*", ""), ("a*", "a"), ("a*c", "abcabc"), ("a?c", "abc"), ("*b*", "abc"), ("client#*", "client#*")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a?", "a"), ("a*c", "abd"), ("", "a"), ("client#*", "clients")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn statement_allows_only_its_actions_and_resources() {
        let get = statement(&["dynamodb:GetItem"], "table/reference", vec![]);
        assert!(allows(&get, &request("dynamodb:getitem", &["client#*"])));
        assert!(!allows(&get, &request("dynamodb:BatchGetItem", &["client#*"])));
        assert!(!allows(&statement(&["dynamodb:*"], "table/vehicles", vec![]), &request("dynamodb:GetItem", &[])));
        assert!(allows(&statement(&["dynamodb:Get*"], "table/*", vec![]), &request("dynamodb:GetItem", &[])));
    }

    #[test]
    fn explicit_deny_wins_over_every_allow() {
        let allow = statement(&["*"], "*", vec![]);
        let deny = Statement {
            denies: true,
            ..statement(&["dynamodb:PutItem"], "*", vec![condition("ForAnyValue:StringLike", &["client#*"])])
        };
        let both = [allow, deny];
        assert_eq!(evaluate(&both, &request("dynamodb:PutItem", &["vin#*", "client#*"])), Decision::NotAllowed);
        assert_eq!(evaluate(&both, &request("dynamodb:PutItem", &["vin#*"])), Decision::Allowed(0));
    }

    #[test]
    fn every_leading_key_must_match_in_the_same_statement() {
        let both = statement(&["dynamodb:PutItem"], "*", vec![condition("ForAllValues:StringLike", &["vin#*", "packages"])]);
        assert!(allows(&both, &request("dynamodb:PutItem", &["vin#*", "packages"])));
        assert!(!allows(&both, &request("dynamodb:PutItem", &["vin#*", "client#*"])));
        let apart = [["vin#*"], ["packages"]]
            .map(|keys| statement(&["dynamodb:PutItem"], "*", vec![condition("ForAllValues:StringLike", &keys)]));
        assert_eq!(evaluate(&apart, &request("dynamodb:PutItem", &["vin#*", "packages"])), Decision::NotAllowed);
        assert_eq!(evaluate(&apart, &request("dynamodb:PutItem", &["packages"])), Decision::Allowed(1));
    }

    #[test]
    fn for_all_values_alone_allows_a_scan() {
        let fence = condition("ForAllValues:StringLike", &["vin#*"]);
        let scan = request("dynamodb:Scan", &[]);
        assert!(allows(&statement(&["dynamodb:Scan"], "*", vec![fence.clone()]), &scan));
        let present = condition("Null", &["false"]);
        assert!(!allows(&statement(&["dynamodb:Scan"], "*", vec![fence, present]), &scan));
    }

    #[test]
    fn other_conditions_require_the_key() {
        let scan = request("dynamodb:Scan", &[]);
        for operator in ["StringLike", "StringEquals", "ForAnyValue:StringLike"] {
            assert!(!allows(&statement(&["dynamodb:Scan"], "*", vec![condition(operator, &["*"])]), &scan), "{operator}");
        }
        assert!(allows(&statement(&["dynamodb:Scan"], "*", vec![condition("Null", &["true"])]), &scan));
        let one = condition("StringEquals", &["packages"]);
        assert!(allows(&statement(&["dynamodb:Query"], "*", vec![one.clone()]), &request("dynamodb:Query", &["packages"])));
        assert!(!allows(&statement(&["dynamodb:Query"], "*", vec![one]), &request("dynamodb:Query", &["packages2"])));
    }
}
