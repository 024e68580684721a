//! Keeping an index up to date.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use vidsieve_progress::Control;

use super::{AddOptions, IndexReport, find_videos};
use crate::Error;
use crate::archive::Archive;

/// What tells whether a file is still being written.
type Look = (u64, Option<SystemTime>);

/// How often a pause looks whether it was cancelled.
const TICK: Duration = Duration::from_millis(50);

impl Archive {
    /// Adds the videos of files and folders, and goes on: looks again after each pause and adds what is new or has changed,
    /// until it is cancelled. A file that is still being written is left until it is the same in two looks. A folder that
    /// is away is looked for again. `each` receives the report of the first look, and of every other one that added, moved
    /// or failed to add anything.
    ///
    /// # Errors
    /// As [`Archive::add`]; for paths that are not there at first.
    pub fn watch<P: AsRef<Path>>(
        &self,
        paths: &[P],
        options: &AddOptions<'_>,
        pause: Duration,
        control: &Control<'_>,
        each: &mut dyn FnMut(&IndexReport),
    ) -> Result<(), Error> {
        let mut found = find_videos(paths, &options.find)?;
        let look = |path: &PathBuf| -> Option<Look> {
            let meta = std::fs::metadata(path).ok()?;
            Some((meta.len(), meta.modified().ok()))
        };
        let (mut done, mut before): (HashMap<PathBuf, Look>, HashMap<PathBuf, Look>) = Default::default();
        let mut is_first = true;
        loop {
            let now: HashMap<PathBuf, Look> =
                found.files.iter().filter_map(|file| Some((file.path.clone(), look(&file.path)?))).collect();
            found.files.retain(|file| {
                let is = now.get(&file.path);
                is.is_some() && is != done.get(&file.path) && (is_first || is == before.get(&file.path))
            });
            if is_first || !found.files.is_empty() {
                done.extend(found.files.iter().filter_map(|file| Some((file.path.clone(), *now.get(&file.path)?))));
                let report = self.add_found(&found, options, control)?;
                if is_first || report.added + report.replaced + report.moved + report.failed > 0 {
                    each(&report);
                }
            }
            (before, is_first) = (now, false);
            let start = Instant::now();
            while start.elapsed() < pause {
                if control.is_cancelled() {
                    return Ok(());
                }
                std::thread::sleep(TICK.min(pause));
            }
            // What cannot be found at present is looked for again.
            found = find_videos(paths, &options.find).unwrap_or_default();
        }
    }
}
