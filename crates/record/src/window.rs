//! S^c's vectors of parts of a video.

/// The greatest value of a quantised vector.
const LIMIT: f32 = 127.0;

/// S^c's vector of a stretch of a video: frames `first` to `last`, both inclusive, and `scale *
/// values`, of unit length.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowVector {
    /// The first frame.
    pub first: u32,
    /// The last frame.
    pub last: u32,
    /// What the values are multiplied by.
    pub scale: f32,
    /// The vector's direction, D values.
    pub values: Vec<i8>,
}

impl WindowVector {
    /// Quantises a vector of D finite values, whatever its length, to int8: the largest value
    /// becomes 127 or -127. The scale makes the result of unit length, so that a scalar product
    /// with a vector of unit length is a cosine.
    #[must_use]
    pub fn quantise(first: u32, last: u32, vector: &[f32]) -> Self {
        let largest = vector.iter().fold(0f32, |m, v| m.max(v.abs()));
        let step = if largest > 0.0 { LIMIT / largest } else { 0.0 };
        // Rounded values are whole numbers from -127 to 127.
        #[allow(clippy::cast_possible_truncation)]
        let values: Vec<i8> = vector.iter().map(|v| (v * step).round() as i8).collect();
        let squares: i64 = values.iter().map(|&v| i64::from(v).pow(2)).sum();
        // A sum of at most 65,536 squares is exact in f64.
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
        let scale = if squares > 0 { (1.0 / (squares as f64).sqrt()) as f32 } else { 0.0 };
        Self { first, last, scale, values }
    }

    /// Returns windows as bytes: first frame, last frame, scale and values of each, little-endian.
    #[must_use]
    pub fn to_bytes(windows: impl Iterator<Item = Self>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for Self { first, last, scale, values } in windows {
            bytes.extend([first.to_le_bytes(), last.to_le_bytes(), scale.to_le_bytes()].as_flattened());
            bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        }
        bytes
    }

    /// Returns the windows of [`WindowVector::to_bytes`], of vectors of `dims` values; `None` for
    /// bytes of another length.
    #[must_use]
    pub fn of_bytes(bytes: &[u8], dims: usize) -> Option<Vec<Self>> {
        let chunks = bytes.chunks_exact(12 + dims);
        if !chunks.remainder().is_empty() {
            return None;
        }
        let window = |chunk: &[u8]| {
            let ([first, last, scale], values) =
                chunk.as_chunks::<4>().0.first_chunk::<3>().map(|h| (*h, &chunk[12..]))?;
            let values = values.iter().map(|v| i8::from_le_bytes([*v])).collect();
            let [first, last] = [first, last].map(u32::from_le_bytes);
            Some(Self { first, last, scale: f32::from_le_bytes(scale), values })
        };
        chunks.map(window).collect()
    }

    /// Returns the vector, D values of unit length.
    pub fn vector(&self) -> impl ExactSizeIterator<Item = f32> + '_ {
        self.values.iter().map(|&v| self.scale * f32::from(v))
    }

    /// Returns the vector's length, 1 but for rounding.
    pub(crate) fn norm(&self) -> f64 {
        let squares: f64 = self.values.iter().map(|&v| f64::from(v).powi(2)).sum();
        f64::from(self.scale) * squares.sqrt()
    }
}

/// S^c's vector of a stretch of a video, as a scan needs it: with seconds in place of frames.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedWindow {
    /// Where the stretch begins and ends in the video, in seconds.
    pub seconds: [f32; 2],
    /// What the values are multiplied by.
    pub scale: f32,
    /// The vector's direction, D values.
    pub values: Vec<i8>,
}

impl PlacedWindow {
    /// Places a window in time.
    #[must_use]
    pub fn new(window: WindowVector, seconds: [f32; 2]) -> Self {
        Self { seconds, scale: window.scale, values: window.values }
    }

    /// Returns windows as bytes: start, end, scale and values of each, little-endian.
    #[must_use]
    pub fn to_bytes(windows: impl Iterator<Item = Self>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for Self { seconds: [start, end], scale, values } in windows {
            bytes.extend([start, end, scale].map(f32::to_le_bytes).as_flattened());
            bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        }
        bytes
    }

    /// Returns the windows of [`PlacedWindow::to_bytes`], of vectors of `dims` values; `None` for
    /// bytes of another length, and for seconds that are none.
    #[must_use]
    pub fn of_bytes(bytes: &[u8], dims: usize) -> Option<Vec<Self>> {
        let place = |window: WindowVector| {
            let seconds = [window.first, window.last].map(f32::from_bits);
            (seconds[0] >= 0.0 && seconds[1] >= seconds[0]).then(|| Self::new(window, seconds))
        };
        // Start and end lie where a window has its frames.
        WindowVector::of_bytes(bytes, dims)?.into_iter().map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_has_no_direction() {
        let none = WindowVector::quantise(3, 5, &[0.0, 0.0]);
        assert_eq!((none.scale, none.values, none.first, none.last), (0.0, vec![0, 0], 3, 5));
    }

    #[test]
    fn seconds_that_are_none_are_refused() {
        let of = |seconds| {
            let window = PlacedWindow::new(WindowVector::quantise(0, 0, &[0.5]), seconds);
            PlacedWindow::of_bytes(&PlacedWindow::to_bytes(std::iter::once(window)), 1)
        };
        assert!(of([1.0, 2.0]).is_some());
        assert_eq!([of([2.0, 1.0]), of([-1.0, 1.0]), of([f32::NAN, 1.0]), of([0.0, f32::NAN])], [const { None }; 4]);
    }

    proptest! {
        #[test]
        fn near_the_vector(vector in proptest::collection::vec(-1f32..1.0, 1..300)) {
            let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
            prop_assume!(norm > 1e-3);
            let window = WindowVector::quantise(0, 0, &vector);
            let cosine: f32 = window.vector().zip(&vector).map(|(a, b)| a * b / norm).sum();
            prop_assert!((window.norm() - 1.0).abs() < 1e-6);
            prop_assert!(cosine > 0.999, "{}", cosine);
            let windows = vec![window.clone(), WindowVector { first: 7, last: u32::MAX, ..window.clone() }];
            let mut bytes = WindowVector::to_bytes(windows.iter().cloned());
            prop_assert_eq!(WindowVector::of_bytes(&bytes, vector.len()), Some(windows));
            bytes.pop();
            prop_assert_eq!(WindowVector::of_bytes(&bytes, vector.len()), None);
            let placed = vec![PlacedWindow::new(window.clone(), [0.0, 2.5]), PlacedWindow::new(window, [1.5, 1e6])];
            let bytes = PlacedWindow::to_bytes(placed.iter().cloned());
            prop_assert_eq!(PlacedWindow::of_bytes(&bytes, vector.len()), Some(placed));
            prop_assert_eq!(PlacedWindow::of_bytes(&bytes[1..], vector.len()), None);
        }
    }
}
