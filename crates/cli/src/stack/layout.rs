//! Where things are.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The workspace, and the folder in which one stack lives.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    dir: PathBuf,
}

impl Layout {
    /// Finds the workspace: from where cargo runs this, or else from the current folder upwards.
    pub(crate) fn find(dir: Option<PathBuf>) -> Result<Self> {
        let here = std::env::current_dir().context("the current folder cannot be told")?;
        let by_cargo = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let root = by_cargo
            .iter()
            .flat_map(|start| start.ancestors())
            .chain(here.ancestors())
            .find(|folder| is_workspace(folder))
            .context("this is not a Roadcast workspace: change into the folder that holds template.yaml, and try again")?
            .to_owned();
        let dir = dir.map_or_else(|| root.join(".roadcast"), |dir| here.join(dir));
        Ok(Self { root, dir })
    }

    /// The workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The stack's own folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What every stack of the workspace shares: the Python environment, Swagger UI and the packaged functions.
    fn shared(&self) -> PathBuf {
        self.root.join(".roadcast")
    }

    pub(crate) fn venv(&self) -> PathBuf {
        self.shared().join("venv")
    }

    /// Where npm installs Swagger UI.
    pub(crate) fn swagger_ui(&self) -> PathBuf {
        self.shared().join("swagger-ui")
    }

    pub(crate) fn artefacts(&self) -> PathBuf {
        self.shared().join("artefacts")
    }

    /// The endpoint's data.
    pub(crate) fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// Where the endpoint unpacks functions.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    pub(crate) fn endpoint_log(&self) -> PathBuf {
        self.dir.join("endpoint.log")
    }

    pub(crate) fn simulator_log(&self) -> PathBuf {
        self.dir.join("simulator.log")
    }

    /// What is known of the stack from one run to the next.
    pub(crate) fn stack_file(&self) -> PathBuf {
        self.dir.join("stack.json")
    }

    /// Which processes run.
    pub(crate) fn run_file(&self) -> PathBuf {
        self.dir.join("run.json")
    }

    /// Makes the stack's folder, readable for its owner only: what it holds opens the stack's API.
    pub(crate) fn create(&self) -> Result<()> {
        create_private(&self.shared())?;
        create_private(&self.dir)
    }

    /// Forgets everything the stack holds.
    pub(crate) fn wipe(&self) -> Result<()> {
        for path in [self.state(), self.temporary()] {
            absent_is_fine(fs::remove_dir_all(&path)).with_context(|| format!("cannot delete {}", path.display()))?;
        }
        for path in [self.stack_file(), self.endpoint_log(), self.simulator_log()] {
            absent_is_fine(fs::remove_file(&path)).with_context(|| format!("cannot delete {}", path.display()))?;
        }
        Ok(())
    }

    /// Held while a stack is started and while it runs in the foreground.
    pub(crate) fn lock_stack(&self) -> Result<File> {
        let file = lock_file(&self.dir.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => bail!(
                "a stack is being started or runs already in {}: stop it with Ctrl-C where it runs, or with `cargo roadcast down`",
                self.dir.display()
            ),
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock the stack's folder"),
        }
    }

    /// Held while what the stacks share is made; waits for whoever holds it.
    pub(crate) fn lock_shared(&self) -> Result<File> {
        let file = lock_file(&self.shared().join("shared.lock"))?;
        file.lock().context("cannot lock the workspace's .roadcast folder")?;
        Ok(file)
    }
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

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
