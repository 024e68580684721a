//! Named weight tensors, checked when they are taken: every network is built from a [`StateDict`] and nothing else.

use std::collections::BTreeMap;

/// Why weights cannot make a network.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum WeightsError {
    /// A tensor that the configuration asks for is not there.
    #[error("tensor `{name}` is missing{}", near(.candidates))]
    Missing {
        /// Full name of the tensor.
        name: String,
        /// Names that are there and end alike.
        candidates: Vec<String>,
    },
    /// A tensor has another shape than the configuration asks for.
    #[error("tensor `{name}` has shape {found:?}, the configuration asks for {expected:?}")]
    Shape {
        /// Full name of the tensor.
        name: String,
        /// Shape by the configuration.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A weight is NaN or infinite.
    #[error("tensor `{name}` holds {value} at element {index}: the weights are damaged or the training diverged")]
    NotFinite {
        /// Full name of the tensor.
        name: String,
        /// Row-major index of the first such element.
        index: usize,
        /// The value there.
        value: f32,
    },
    /// The configuration contradicts itself or the shapes.
    #[error("configuration of `{network}`: {reason}")]
    Config {
        /// Network in question.
        network: String,
        /// What is wrong and what would be right.
        reason: String,
    },
}

fn near(candidates: &[String]) -> String {
    if candidates.is_empty() { String::new() } else { format!(" (there is `{}`)", candidates.join("`, `")) }
}

/// One tensor: row-major f32 values and their shape (a scalar has shape `[]`).
#[derive(Debug, Clone, PartialEq)]
pub struct WeightTensor {
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Product of `shape` values, row-major.
    pub data: Vec<f32>,
}

/// The tensors of one network under upstream's names, without a network prefix.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateDict {
    /// How messages call this set of weights: a prefix such as `coarse.` or a file name.
    pub label: String,
    tensors: BTreeMap<String, WeightTensor>,
}

impl StateDict {
    /// An empty set; `label` precedes tensor names in messages.
    #[must_use]
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), tensors: BTreeMap::new() }
    }

    /// Adds or replaces a tensor.
    ///
    /// # Errors
    /// [`WeightsError::Shape`] when `data` does not have as many values as `shape` says.
    pub fn insert(&mut self, name: impl Into<String>, shape: Vec<usize>, data: Vec<f32>) -> Result<(), WeightsError> {
        let name = name.into();
        if shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) != Some(data.len()) {
            return Err(WeightsError::Shape { name: self.full(&name), expected: shape, found: vec![data.len()] });
        }
        self.tensors.insert(name, WeightTensor { shape, data });
        Ok(())
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.label)
    }

    /// Whether a tensor of this name is there.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Shape of a tensor.
    ///
    /// # Errors
    /// [`WeightsError::Missing`].
    pub fn shape(&self, name: &str) -> Result<&[usize], WeightsError> {
        self.tensors.get(name).map(|t| t.shape.as_slice()).ok_or_else(|| self.missing(name))
    }

    /// Shape of a tensor that must have `rank` dimensions.
    ///
    /// # Errors
    /// [`WeightsError::Missing`], [`WeightsError::Config`] for another rank.
    pub fn shape_of_rank<const N: usize>(&self, name: &str) -> Result<[usize; N], WeightsError> {
        let shape = self.shape(name)?;
        <[usize; N]>::try_from(shape).map_err(|_| WeightsError::Config {
            network: self.label.clone(),
            reason: format!("tensor `{name}` has shape {shape:?}, expected {N} dimensions"),
        })
    }

    fn missing(&self, name: &str) -> WeightsError {
        let tail = name.rsplit('.').take(2).collect::<Vec<_>>();
        let candidates = self
            .tensors
            .keys()
            .filter(|k| k.rsplit('.').zip(&tail).all(|(a, b)| a == *b))
            .take(3)
            .map(|k| self.full(k))
            .collect();
        WeightsError::Missing { name: self.full(name), candidates }
    }

    /// The values of a tensor of exactly this shape, all finite.
    ///
    /// # Errors
    /// [`WeightsError::Missing`], [`WeightsError::Shape`], [`WeightsError::NotFinite`].
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<&[f32], WeightsError> {
        let tensor = self.tensors.get(name).ok_or_else(|| self.missing(name))?;
        if tensor.shape != shape {
            return Err(WeightsError::Shape {
                name: self.full(name),
                expected: shape.to_vec(),
                found: tensor.shape.clone(),
            });
        }
        match tensor.data.iter().position(|v| !v.is_finite()) {
            Some(index) => Err(WeightsError::NotFinite { name: self.full(name), index, value: tensor.data[index] }),
            None => Ok(&tensor.data),
        }
    }

    /// All tensors in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &WeightTensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Number of tensors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether no tensor is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> StateDict {
        let mut s = StateDict::new("coarse.");
        s.insert("attention.transform.weight", vec![2, 2], vec![1.0, 2.0, f32::NAN, 4.0]).unwrap();
        s.insert("netvlad.norm.bias", vec![2], vec![0.0, 1.0]).unwrap();
        s
    }

    #[test]
    fn errors_name_the_tensor() {
        let s = sample();
        assert_eq!(s.get("netvlad.norm.bias", &[2]), Ok(&[0.0, 1.0][..]));
        let shape = s.get("netvlad.norm.bias", &[3]).unwrap_err().to_string();
        assert!(shape.contains("coarse.netvlad.norm.bias") && shape.contains("[3]"), "{shape}");
        let nan = s.get("attention.transform.weight", &[2, 2]).unwrap_err().to_string();
        assert!(nan.contains("NaN at element 2"), "{nan}");
        let missing = s.get("vlad.norm.bias", &[2]).unwrap_err().to_string();
        assert!(missing.contains("coarse.netvlad.norm.bias"), "{missing}");
    }

    #[test]
    fn a_shape_that_lies_is_refused() {
        let mut s = StateDict::new("x.");
        assert!(s.insert("w", vec![2, 3], vec![0.0; 5]).is_err());
        assert!(s.insert("w", vec![usize::MAX, 2], vec![0.0; 5]).is_err());
        assert!(s.is_empty());
    }
}
