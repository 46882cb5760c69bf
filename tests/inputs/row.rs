//! A row of the table: an input of a kind, as steps with expected answers.

use crate::service::Service;
use crate::step::Step;

/// An input and the right answer to it.
pub(crate) struct Row {
    /// The kind of input, such as `r02`.
    pub(crate) id: &'static str,
    /// The expected behaviour, as a test name.
    pub(crate) name: &'static str,
    /// The steps, each on the result of the steps before.
    pub(crate) steps: fn() -> Vec<Step>,
}

/// Creates a row.
pub(crate) const fn row(id: &'static str, name: &'static str, steps: fn() -> Vec<Step>) -> Row {
    Row { id, name, steps }
}

impl Row {
    /// Returns the name of the test.
    pub(crate) fn test_name(&self) -> String {
        format!("{}_{}", self.id, self.name)
    }

    /// Runs the steps on a new service. Fails with the row, the step and what came back.
    pub(crate) fn run(&self) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut service = Box::pin(Service::start()).await;
            for (number, step) in (self.steps)().into_iter().enumerate() {
                let failed = |error| format!("{}, step {}: {error}", self.test_name(), number + 1);
                step.run(&mut service).await.map_err(failed)?;
            }
            Ok(())
        })
    }
}
