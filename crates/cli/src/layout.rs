//! The paths of the workspace and of a stack.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The workspace and the folder of one stack.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    dir: PathBuf,
}

impl Layout {
    /// Finds the workspace: among the parents of `CARGO_MANIFEST_DIR`, or else of the current folder.
    pub(crate) fn find(dir: Option<PathBuf>) -> Result<Self> {
        let here = std::env::current_dir().context("cannot determine the current folder")?;
        let by_cargo = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let root = by_cargo
            .iter()
            .flat_map(|start| start.ancestors())
            .chain(here.ancestors())
            .find(|folder| is_workspace(folder))
            .context("this is not a Roadcast workspace: change to the folder with template.yaml and try again")?
            .to_owned();
        let dir = dir.map_or_else(|| root.join(".roadcast"), |dir| here.join(dir));
        Ok(Self { root, dir })
    }

    /// The root of the workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the stack.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder shared by all stacks of the workspace: Python environment, Swagger UI and packaged functions.
    fn shared(&self) -> PathBuf {
        self.root.join(".roadcast")
    }

    pub(crate) fn venv(&self) -> PathBuf {
        self.shared().join("venv")
    }

    /// The folder in which npm installs Swagger UI.
    pub(crate) fn swagger_ui(&self) -> PathBuf {
        self.shared().join("swagger-ui")
    }

    pub(crate) fn artefacts(&self) -> PathBuf {
        self.shared().join("artefacts")
    }

    /// The program that starts the local AWS endpoint.
    pub(crate) fn endpoint_program(&self) -> PathBuf {
        self.root.join("crates/cli/endpoint/start.py")
    }

    /// The command line of the tool for this stack, such as `cargo roadcast --dir /tmp/b down`.
    pub(crate) fn command(&self, arguments: &str) -> String {
        if self.dir == self.shared() {
            return format!("cargo roadcast {arguments}");
        }
        format!("cargo roadcast --dir {} {arguments}", shell_word(&self.dir.display().to_string()))
    }

    /// The data of the endpoint.
    pub(crate) fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// The folder in which the endpoint unpacks functions.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// The files of a run that was killed before the endpoint saved its data for the first time.
    pub(crate) fn unsaved(&self) -> PathBuf {
        self.dir.join("unsaved")
    }

    pub(crate) fn endpoint_log(&self) -> PathBuf {
        self.dir.join("endpoint.log")
    }

    pub(crate) fn simulator_log(&self) -> PathBuf {
        self.dir.join("simulator.log")
    }

    /// The state of the stack that is retained between runs.
    pub(crate) fn stack_file(&self) -> PathBuf {
        self.dir.join("stack.json")
    }

    /// The processes of the running stack.
    pub(crate) fn run_file(&self) -> PathBuf {
        self.dir.join("run.json")
    }

    /// Creates the folders. Only their owner can read them, because their content gives access to the stack's API.
    pub(crate) fn create(&self) -> Result<()> {
        create_private(&self.shared())?;
        create_private(&self.dir)
    }

    /// Deletes all data of the stack.
    pub(crate) fn wipe(&self) -> Result<()> {
        for path in [self.state(), self.temporary(), self.unsaved()] {
            ignore_not_found(fs::remove_dir_all(&path)).with_context(|| format!("cannot delete {}", path.display()))?;
        }
        for path in [self.stack_file(), self.endpoint_log(), self.simulator_log()] {
            ignore_not_found(fs::remove_file(&path)).with_context(|| format!("cannot delete {}", path.display()))?;
        }
        Ok(())
    }

    /// Locks the stack while it starts and while it runs in the foreground. Fails if it is locked.
    pub(crate) fn lock_stack(&self) -> Result<File> {
        let file = lock_file(&self.dir.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => bail!(
                "a stack is already starting or running in {}: stop it with Ctrl-C or `{}`",
                self.dir.display(),
                self.command("down")
            ),
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock the stack's folder"),
        }
    }

    /// Locks the shared folder while its content is created. Waits if it is locked.
    pub(crate) fn lock_shared(&self) -> Result<File> {
        let file = lock_file(&self.shared().join("shared.lock"))?;
        file.lock().context("cannot lock the workspace's .roadcast folder")?;
        Ok(file)
    }
}

/// A text as one word of a shell command, quoted if necessary.
pub(crate) fn shell_word(text: &str) -> String {
    let is_plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn is_workspace(folder: &Path) -> bool {
    ["template.yaml", "openapi.yaml", "Cargo.toml"].iter().all(|name| folder.join(name).is_file())
}

fn create_private(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;

    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot create {}", folder.display()))
}

fn lock_file(path: &Path) -> Result<File> {
    File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

fn ignore_not_found(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_names_the_folder_of_another_stack() {
        let layout = |dir: &str| Layout { root: "/w".into(), dir: dir.into() };
        assert_eq!(layout("/w/.roadcast").command("down"), "cargo roadcast down");
        assert_eq!(layout("/tmp/b").command("down"), "cargo roadcast --dir /tmp/b down");
        assert_eq!(layout("/tmp/it's").command("down"), r"cargo roadcast --dir '/tmp/it'\''s' down");
    }
}
