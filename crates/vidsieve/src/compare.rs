//! Two videos compared with each other alone.

use vidsieve_search::segments::Alignment;
use vidsieve_search::{Comparison, Matrix};

use crate::{EncodedVideo, Error, Model};

/// Compares two videos frame by frame: how much of `query` is in `target`, and where.
///
/// # Errors
/// [`Error::Search`] for videos of another model.
pub fn compare(model: &Model, query: &EncodedVideo, target: &EncodedVideo) -> Result<Comparison, Error> {
    Ok(compare_aligned(model, query, target)?.0)
}

/// [`compare`], with the frames that are aligned in each segment.
///
/// # Errors
/// As [`compare`].
pub fn compare_aligned(
    model: &Model,
    query: &EncodedVideo,
    target: &EncodedVideo,
) -> Result<(Comparison, Vec<Alignment>), Error> {
    Ok(model.engine()?.comparison(query.as_query(), &target.record()?)?)
}

/// Returns the frame similarities of two videos in [-1, 1], rows of `query` and columns of `target`, with at most `most`
/// cells a side: each cell holds the greatest similarity of a square of frames.
///
/// # Errors
/// As [`compare`].
pub fn frame_similarities(
    model: &Model,
    query: &EncodedVideo,
    target: &EncodedVideo,
    most: usize,
) -> Result<Matrix, Error> {
    Ok(Matrix::new(model.engine()?, query.as_query(), &target.record()?, most)?)
}
