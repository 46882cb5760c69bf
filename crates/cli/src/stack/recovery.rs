//! Recovers from a run that was killed before the local AWS endpoint saved its data for the first time.
//!
//! The endpoint writes objects of buckets to disk at once, but everything else when it ends in order. If its first run is
//! killed, buckets exist without the stack that they belong to, and CloudFormation refuses to create it.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::deploy::STACK_NAME;
use super::package::BUCKET;
use crate::console::note;
use crate::layout::Layout;

/// Moves the data of such a run to another folder. Returns whether there was any.
pub(crate) fn move_unsaved(layout: &Layout) -> Result<bool> {
    let (state, unsaved) = (layout.state(), layout.unsaved());
    if !is_unsaved(&state)? {
        return Ok(false);
    }
    if unsaved.exists() {
        fs::remove_dir_all(&unsaved).with_context(|| format!("cannot delete {}", unsaved.display()))?;
    }
    fs::rename(&state, &unsaved).with_context(|| format!("cannot move {}", state.display()))?;
    note(&format!(
        "The first run of this stack was killed before it saved its data. The stack starts without it; files that had been \
         written to its buckets are in {}. Delete the folder if you do not need them.",
        unsaved.display()
    ));
    Ok(true)
}

/// Whether the folder has buckets of a deployment, but not the deployment.
fn is_unsaved(state: &Path) -> Result<bool> {
    let deployments = match fs::read_to_string(state.join("cloudformation.json")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context("cannot read the saved deployments"),
    };
    if deployments.contains(STACK_NAME) {
        return Ok(false);
    }
    // One folder per account, with one folder per bucket. The bucket of packages is created before the deployment.
    let accounts = folders(&state.join("s3"))?;
    let buckets: Vec<_> = accounts.iter().map(|account| folders(account)).collect::<Result<_>>()?;
    Ok(buckets.iter().flatten().any(|bucket| bucket.file_name().is_some_and(|name| name != BUCKET)))
}

fn folders(path: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let paths: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    Ok(paths.into_iter().filter(|path| path.is_dir()).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn buckets_without_their_deployment_are_unsaved() {
        let state = std::env::temp_dir().join(format!("roadcast-unsaved-{}", std::process::id()));
        let _ = fs::remove_dir_all(&state);
        assert!(!is_unsaved(&state).unwrap(), "an empty folder");
        fs::create_dir_all(state.join("s3/000000000000").join(BUCKET)).unwrap();
        assert!(!is_unsaved(&state).unwrap(), "packages only");
        fs::create_dir_all(state.join("s3/000000000000/roadcast-local-archive")).unwrap();
        assert!(is_unsaved(&state).unwrap());
        fs::write(state.join("cloudformation.json"), r#"{"stacks":{}}"#).unwrap();
        assert!(is_unsaved(&state).unwrap(), "an earlier run saved no deployment");
        fs::write(state.join("cloudformation.json"), format!(r#"{{"stacks":{{"{STACK_NAME}":{{}}}}}}"#)).unwrap();
        assert!(!is_unsaved(&state).unwrap());
        fs::remove_dir_all(state).unwrap();
    }
}
