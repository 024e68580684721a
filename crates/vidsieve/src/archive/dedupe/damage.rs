//! What could not be read of a file.

use serde::{Serialize, Serializer};

/// What could not be read of a file; its text as JSON.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FileDamage {
    /// Whether the file was not read to its end.
    pub is_partial: bool,
    /// The length that the file promises in seconds, if it was not read to its end and this is known.
    pub expected: Option<f64>,
    /// What is wrong, for people.
    pub detail: String,
}

impl Serialize for FileDamage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.detail)
    }
}

impl FileDamage {
    /// Reads what an index keeps of the [warnings](vidsieve_video::Warning) of a file; `None` for a sound one. What is not
    /// known to be harmless counts as a file that was not read to its end.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        let is_partial = text.split("; ").next().is_some_and(|first| !first.starts_with("damaged in places"));
        let expected =
            text.split_once(" s could be read").and_then(|(head, _)| head.rsplit_once(" of ")?.1.parse().ok());
        (!text.is_empty()).then(|| Self { is_partial, expected, detail: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use vidsieve_video::Warning;

    use super::*;

    #[test]
    fn warnings_are_understood() {
        let of = |warning: Warning| {
            FileDamage::of_text(&warning.to_string()).map(|damage| (damage.is_partial, damage.expected))
        };
        let detail = "a; b of 3.0 s".to_owned();
        let lost = Warning::Lost { read: 4.26, expected: 30.5, detail: detail.clone() };
        assert_eq!(of(lost), Some((true, Some(30.5))));
        assert_eq!(of(Warning::Damaged { detail }), Some((false, None)));
        assert_eq!(of(Warning::FrameLimit { frames: 7 }), Some((true, None)));
        assert_eq!(FileDamage::of_text(""), None);
    }
}
