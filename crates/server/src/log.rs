//! What clients are not told goes to the log, without ids.

use vidsieve_api::Problem;
use vidsieve_index::store::IndexError;

/// The problem of what the client cannot mend; the log gets the reason, which tells no id.
pub(crate) fn internal(reason: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%reason, "a request failed");
    Problem::internal()
}

/// The problem of the index: what the client can do about it, or [`internal`].
pub(crate) fn index(error: &IndexError) -> Problem {
    let reason = without_ids(error);
    match error {
        error if error.is_full() => {
            tracing::warn!(reason, "there is no room for a video");
            Problem::storage_full()
        }
        IndexError::Interrupted(_) => {
            tracing::warn!(reason, "the index is opened again");
            Problem::busy()
        }
        IndexError::Record { .. } | IndexError::Lost(_) => {
            tracing::error!(reason, "a record is damaged");
            Problem::damaged_record()
        }
        IndexError::ReadOnly(_) => Problem::read_only(),
        _ => internal(&reason),
    }
}

/// What the log may tell of the index: ids are names of files, which are not its business.
pub(crate) fn without_ids(error: &IndexError) -> String {
    match error {
        IndexError::Record { source, .. } => format!("a record of the index: {source}"),
        IndexError::Damaged { path, .. } => {
            format!("{}: the index is damaged: `vidsieve verify` tells more", path.display())
        }
        IndexError::Lost(_) => "a record of the index is missing: `vidsieve verify` tells more".to_owned(),
        IndexError::Id(_) => "an id that cannot be used".to_owned(),
        // The others are about the folder.
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use vidsieve_record::RecordError;

    use super::*;

    #[test]
    fn no_id_reaches_the_log() {
        let id = "holiday.mp4".to_owned();
        let damaged = IndexError::Damaged { path: "index".into(), detail: format!("the row of {id}") };
        let record = IndexError::Record { id: id.clone(), source: RecordError::Checksum };
        for error in [damaged, record, IndexError::Lost(id.clone()), IndexError::Id(id)] {
            let told = without_ids(&error);
            assert!(error.to_string().contains("holiday") && !told.contains("holiday") && told.len() > 20, "{told}");
        }
    }
}
