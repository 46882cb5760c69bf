//! Starts a stack on another port than before.
//!
//! The data of the local AWS endpoint contains its own address, in the URL of each queue. A rule of a bus finds its queue by the present
//! address, so after a change of the port, events would reach no queue.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Replaces the address of the endpoint in its data. Can be repeated.
pub(crate) fn move_data(state: &Path, from: u16, to: u16) -> Result<()> {
    let entries = match fs::read_dir(state) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", state.display())),
    };
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", state.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            move_file(&path, from, to).with_context(|| format!("cannot change the port in {}", path.display()))?;
        }
    }
    Ok(())
}

fn move_file(path: &Path, from: u16, to: u16) -> io::Result<()> {
    let text = fs::read_to_string(path)?;
    let moved = ["localhost", "127.0.0.1"]
        .iter()
        .fold(text.clone(), |text, host| text.replace(&format!("{host}:{from}/"), &format!("{host}:{to}/")));
    if moved == text {
        return Ok(());
    }
    // Whole or not at all, whenever the tool is killed.
    let new = path.with_extension("json.new");
    fs::write(&new, moved)?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn queues_have_the_new_port_and_other_addresses_stay() {
        let folder = std::env::temp_dir().join(format!("roadcast-moved-port-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let (queues, other) = (folder.join("sqs.json"), folder.join("note.txt"));
        fs::create_dir_all(folder.join("s3")).unwrap();
        let text = "http://localhost:4566/0/a http://127.0.0.1:4566/0/b http://localhost:45660/0/c http://127.0.0.1:8790/";
        fs::write(&queues, text).unwrap();
        fs::write(&other, text).unwrap();
        for _ in 0..2 {
            move_data(&folder, 4566, 5000).unwrap();
        }
        let expected =
            "http://localhost:5000/0/a http://127.0.0.1:5000/0/b http://localhost:45660/0/c http://127.0.0.1:8790/";
        assert_eq!(fs::read_to_string(queues).unwrap(), expected);
        assert_eq!(fs::read_to_string(other).unwrap(), text);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3, "nothing else is left");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn first_start_has_no_data() {
        move_data(Path::new("/nonexistent/state"), 4566, 5000).unwrap();
    }
}
