//! Tricks with tokens, scopes, ids and the form of a request. None is answered, changes anything or reveals anything.

mod claims;
mod clients;
mod forms;
mod resources;
mod scene;
mod scopes;

use scene::Scene;
use serde_json::Value;

/// An attempt to get what the caller may not have.
struct Trick {
    name: &'static str,
    /// The status of the answer.
    status: u16,
    /// The event that a function gets.
    event: fn(&Scene) -> Value,
}

/// Creates a trick.
const fn trick(name: &'static str, status: u16, event: fn(&Scene) -> Value) -> Trick {
    Trick { name, status, event }
}

/// Returns all tricks.
fn tricks() -> Vec<Trick> {
    [claims::tricks(), scopes::tricks(), clients::tricks(), resources::tricks(), forms::tricks()]
        .into_iter()
        .flatten()
        .collect()
}

/// The least number of tricks, so that no file of them is lost.
const TRICKS: usize = 77;
/// Longer than clients are cached, and than the window of the rate limit.
const PAUSE_MS: i64 = 61_000;

pub(crate) async fn no_trick_gets_an_answer_or_changes_anything() {
    let scene = Box::pin(Scene::set()).await;
    let secrets = scene.secrets();
    let (mut failures, mut succeeded, mut statuses) = (Vec::new(), 0, Vec::new());
    for Trick { name, status, event } in tricks() {
        scene.deployment.clock.advance_ms(PAUSE_MS);
        let event = event(&scene);
        let before = scene.deployment.stored();
        let expected = scene.deployment.answer(&event).await;
        // API Gateway sends an event to one function. None of them may answer it.
        let answers = scene.deployment.answers(&event).await;
        let of_path = || answers.iter().find(|answer| answer.status != 404);
        let answer = expected.as_ref().or_else(of_path).unwrap_or(&answers[0]);
        let mut fail = |what: String| failures.push(format!("{name}: {what}\n  {}", answer.text));
        if answer.status != status {
            fail(format!("status {} instead of {status}", answer.status));
        }
        let all = || answers.iter().chain(&expected);
        if all().any(|answer| answer.status < 400) {
            succeeded += 1;
            fail("a function answers".to_owned());
        }
        if let Some(secret) = secrets.iter().find(|secret| all().any(|answer| answer.text.contains(**secret))) {
            fail(format!("the answer reveals {secret}"));
        }
        if scene.deployment.stored() != before {
            fail("something was changed".to_owned());
        }
        statuses.push(answer.status);
    }
    statuses.sort_unstable();
    let counts: Vec<String> = statuses.chunk_by(PartialEq::eq).map(|same| format!("{} x {}", same.len(), same[0])).collect();
    println!("{} tricks, {succeeded} in ({})", statuses.len(), counts.join(", "));
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
    assert!(statuses.len() >= TRICKS, "{} tricks", statuses.len());
}

/// Ensures that the tricks fail for the trick, not for the request.
pub(crate) async fn requests_without_a_trick_are_answered() {
    let scene = Box::pin(Scene::set()).await;
    for (name, event) in [
        ("reading", scene.reading()),
        ("creating a fleet", scene.creating_fleet()),
        ("sending", scene.sending()),
        ("reading a page", scene.reading_page(&scene.victim.token)),
    ] {
        let answer = scene.deployment.answer(&event).await.unwrap();
        assert!(answer.is_success(), "{name}: {answer:?}");
    }
}
