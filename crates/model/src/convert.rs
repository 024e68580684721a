//! Official PyTorch files to a bundle: names and shapes of its tensors say which network a file holds.

use std::collections::BTreeMap;
use std::fmt;

use vidsieve_checkpoint::{CheckpointError, Value};
use vidsieve_kernels::Isa;
use vidsieve_record::BundleId;

use crate::backbone::{BackboneConfig, ResnetConfig};
use crate::bundle::{Bundle, BundleError, BundleWriter, Network, Storage};
use crate::config::{CoarseConfig, Config, FineConfig, ItqConfig, SelectorConfig, WhiteningConfig};
use crate::extractor::{ExtractError, Extractor};
use crate::frames::Preprocess;
use crate::regions::RegionPooling;
use crate::weights::{StateDict, WeightsError};
use crate::whitening;

/// Heads of the published coarse student, for files without training arguments.
const DEFAULT_HEADS: usize = 8;

/// Windows of L3-iMAC over the taps of an official ResNet at 224 pixels.
const L3_IMAC_KERNELS: [usize; 4] = [28, 14, 6, 3];

/// Why files could not be converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// A file that is no sound checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Weights that do not make the network they look like.
    #[error("{file}: {source}")]
    Weights {
        /// Name of the file, as given.
        file: String,
        /// What is wrong with them.
        source: WeightsError,
    },
    /// Tensors that belong to no known network.
    #[error(
        "{file}: its tensors ({found}) belong to no network of Distill-and-Select; known are the students, the \
         selector, the ViSiL head, PCA {{mean, d, V}}, ITQ {{proj}} and torchvision's ResNet-50"
    )]
    Unknown {
        /// Name of the file, as given.
        file: String,
        /// Some of the names.
        found: String,
    },
    /// Two files with the same network.
    #[error("{second}: {network} was already read from {first}; leave one out")]
    Twice {
        /// The network.
        network: Network,
        /// First file.
        first: String,
        /// Second file.
        second: String,
    },
    /// Networks of different dimensions.
    #[error("{file}: {network} is for {found} dimensions, {other} for {expected}; they cannot work together")]
    Dims {
        /// Name of the file, as given.
        file: String,
        /// Its network.
        network: Network,
        /// Its dimensions.
        found: usize,
        /// File or option that set the dimensions.
        other: String,
        /// Dimensions there.
        expected: usize,
    },
    /// No file was given.
    #[error("no file to convert was given")]
    Nothing,
    /// The weights do not make a working network.
    #[error("{file}: {source}")]
    Network {
        /// Name of the file, as given.
        file: String,
        /// What is wrong with them.
        source: Box<ExtractError>,
    },
    /// The bundle could not be written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// A file to convert.
#[derive(Clone, Copy)]
pub struct ConvertSource<'a> {
    /// Name in messages and in the provenance; a teacher whose name contains `sym` is the symmetric variant.
    pub name: &'a str,
    /// The file.
    pub bytes: &'a [u8],
}

impl fmt::Debug for ConvertSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConvertSource").field("name", &self.name).field("bytes", &self.bytes.len()).finish()
    }
}

/// How to convert.
#[derive(Debug, Clone, Default)]
pub struct ConvertOptions {
    /// Storage of the bundle's tensors.
    pub storage: Storage,
    /// Dimensions after whitening: needed for a PCA file that is given alone (default 512, or all there are) and for a
    /// student without attention and binarisation.
    pub dims: Option<usize>,
    /// Whether a ViSiL head is the symmetric variant; by default its file's name tells.
    pub symmetric: Option<bool>,
    /// Licence of the weights, for the manifest.
    pub licence: String,
}

/// The weights of one official file under their own names, with the plain values of its training arguments.
///
/// # Errors
/// [`CheckpointError`] for anything but a sound file.
pub fn read_weights(file: &str, bytes: &[u8]) -> Result<(StateDict, Vec<(String, Value)>), ConvertError> {
    let checkpoint = vidsieve_checkpoint::read(file, bytes)?;
    let tensors = checkpoint.state_dict()?;
    // torch.nn.DataParallel puts `module.` before every name.
    let parallel = tensors.iter().all(|(n, _)| n.starts_with("module."));
    let mut state = StateDict::new(format!("{file}: "));
    for (name, tensor) in tensors {
        if name.ends_with("num_batches_tracked") {
            continue;
        }
        let name = if parallel { name["module.".len()..].to_owned() } else { name };
        let shape = tensor.shape.clone();
        let wrong = |source| ConvertError::Weights { file: file.to_owned(), source };
        state.insert(name, shape, tensor.into_f32()).map_err(wrong)?;
    }
    Ok((state, checkpoint.args()))
}

/// An integer among the training arguments.
#[must_use]
pub fn integer(args: &[(String, Value)], name: &str) -> Option<usize> {
    args.iter().find(|(n, _)| n == name).and_then(|(_, v)| match v {
        Value::Int(i) => usize::try_from(*i).ok(),
        _ => None,
    })
}

/// Which network the names belong to.
fn classify(state: &StateDict) -> Option<Kind> {
    let has = |name: &str| state.contains(name);
    Some(if has("mlp.model.0.weight") && has("attention.transform.weight") {
        Kind::Network(Network::Selector)
    } else if has("video_comperator.conv1.weight") {
        Kind::Network(Network::Teacher)
    } else if has("binarization.W") {
        Kind::Network(Network::FineBinary)
    } else if has("netvlad.centroids") || has("transformer.layers.0.linear1.weight") {
        Kind::Network(Network::Coarse)
    } else if has("visil_head.conv1.weight") {
        Kind::Network(if has("attention.transform.weight") { Network::FineAttention } else { Network::FinePlain })
    } else if has("V") && has("mean") && has("d") {
        Kind::Network(Network::Pca)
    } else if has("proj") {
        Kind::Network(Network::Itq)
    } else if has("layer1.0.conv1.weight") {
        Kind::Network(Network::Backbone)
    } else if has("cnn.layer1.0.conv1.weight") {
        Kind::Extractor
    } else {
        return None;
    })
}

#[derive(Clone, Copy)]
enum Kind {
    Network(Network),
    /// Upstream's FeatureExtractor: backbone and PCA in one.
    Extractor,
}

/// The parts gathered so far.
struct Gathered {
    config: Config,
    networks: Vec<(Network, StateDict, String)>,
    /// D of the networks and the file that set it.
    dims: Option<(usize, String)>,
}

impl Gathered {
    fn add(&mut self, network: Network, state: StateDict, file: &str) -> Result<(), ConvertError> {
        if let Some((_, _, first)) = self.networks.iter().find(|(n, _, _)| *n == network) {
            return Err(ConvertError::Twice { network, first: first.clone(), second: file.to_owned() });
        }
        self.networks.push((network, state, file.to_owned()));
        Ok(())
    }

    fn agree(&mut self, network: Network, found: usize, file: &str) -> Result<(), ConvertError> {
        match &self.dims {
            Some((expected, other)) if *expected != found => Err(ConvertError::Dims {
                file: file.to_owned(),
                network,
                found,
                other: other.clone(),
                expected: *expected,
            }),
            Some(_) => Ok(()),
            None => {
                self.dims = Some((found, file.to_owned()));
                Ok(())
            }
        }
    }
}

/// Puts official files together to one bundle.
///
/// # Errors
/// [`ConvertError`], naming the file at fault and the remedy.
pub fn convert(sources: &[ConvertSource<'_>], options: &ConvertOptions) -> Result<Bundle, ConvertError> {
    if sources.is_empty() {
        return Err(ConvertError::Nothing);
    }
    let mut gathered = Gathered { config: Config::default(), networks: Vec::new(), dims: None };
    let mut provenance = BTreeMap::new();
    let mut late = Vec::new();
    for source in sources {
        let file = source.name;
        let (state, args) = read_weights(file, source.bytes)?;
        let Some(kind) = classify(&state) else {
            let names: Vec<&str> = state.iter().map(|(n, _)| n).take(4).collect();
            return Err(ConvertError::Unknown { file: file.to_owned(), found: names.join(", ") });
        };
        let mut note = format!("{file} sha256:{}", BundleId::of(source.bytes));
        for (name, value) in &args {
            let value = match value {
                Value::Bool(b) => b.to_string(),
                Value::Int(i) => i.to_string(),
                Value::Float(f) => f.to_string(),
                Value::Str(s) if s.len() < 100 && !s.contains(['/', '\\']) => s.clone(),
                _ => continue,
            };
            note.push_str(&format!(" {name}={value}"));
        }
        let name = match kind {
            Kind::Network(n) => n.name(),
            Kind::Extractor => "feature_extractor",
        };
        provenance.insert(name.to_owned(), note);
        // What needs the dimensions of the others comes last.
        if matches!(kind, Kind::Network(Network::FinePlain | Network::Pca)) {
            late.push((file, state, args, kind));
        } else {
            part(&mut gathered, file, state, &args, kind, options)?;
        }
    }
    for (file, state, args, kind) in late {
        part(&mut gathered, file, state, &args, kind, options)?;
    }
    let mut writer = BundleWriter::new(gathered.config, options.licence.clone(), provenance);
    for (network, state, file) in &gathered.networks {
        let wrong = |source| ConvertError::Weights { file: file.clone(), source };
        writer.add(*network, state, options.storage).map_err(wrong)?;
    }
    let bundle = writer.finish()?;
    for (network, _, file) in &gathered.networks {
        build(&bundle, *network)
            .map_err(|source| ConvertError::Network { file: file.clone(), source: Box::new(source) })?;
    }
    Ok(bundle)
}

/// Builds a network of a new bundle, so that nothing is written that cannot be used.
fn build(bundle: &Bundle, network: Network) -> Result<(), ExtractError> {
    let isa = Isa::portable();
    match network {
        Network::Coarse => bundle.coarse(isa).map(|_| ()),
        Network::Selector => bundle.selector(isa).map(|_| ()),
        Network::Backbone => Extractor::new(isa, bundle).map(|_| ()),
        Network::Pca | Network::Itq => Ok(()),
        Network::Teacher | Network::FineAttention | Network::FineBinary | Network::FinePlain => {
            bundle.fine(isa, network).map(|_| ())
        }
    }
}

fn part(
    gathered: &mut Gathered,
    file: &str,
    state: StateDict,
    args: &[(String, Value)],
    kind: Kind,
    options: &ConvertOptions,
) -> Result<(), ConvertError> {
    let wrong = |source| ConvertError::Weights { file: file.to_owned(), source };
    let dims = options.dims.or_else(|| integer(args, "dims")).or(gathered.dims.as_ref().map(|d| d.0));
    match kind {
        Kind::Network(Network::Coarse) => {
            let heads = integer(args, "transformer_heads").unwrap_or(DEFAULT_HEADS);
            let config = CoarseConfig::infer(&state, dims, heads).map_err(wrong)?;
            gathered.agree(Network::Coarse, config.dims, file)?;
            gathered.config.coarse = Some(config);
            gathered.add(Network::Coarse, state, file)
        }
        Kind::Network(Network::Selector) => {
            let config = SelectorConfig::infer(&state).map_err(wrong)?;
            gathered.agree(Network::Selector, config.dims, file)?;
            gathered.config.selector = Some(config);
            gathered.add(Network::Selector, state, file)
        }
        Kind::Network(
            network @ (Network::Teacher | Network::FineAttention | Network::FineBinary | Network::FinePlain),
        ) => {
            let symmetric = network == Network::Teacher && options.symmetric.unwrap_or_else(|| file.contains("sym"));
            let known = if network == Network::FinePlain { dims } else { None };
            let config = FineConfig::infer(&state, known, symmetric).map_err(wrong)?;
            gathered.agree(network, config.dims, file)?;
            let slot = match network {
                Network::Teacher => &mut gathered.config.teacher,
                Network::FineAttention => &mut gathered.config.fine_attention,
                Network::FineBinary => &mut gathered.config.fine_binary,
                _ => &mut gathered.config.fine_plain,
            };
            *slot = Some(config);
            gathered.add(network, state, file)
        }
        Kind::Network(Network::Itq) => {
            let [d, bits] = state.shape_of_rank::<2>("proj").map_err(wrong)?;
            gathered.agree(Network::Itq, d, file)?;
            gathered.config.itq = Some(ItqConfig { dims: d, bits });
            gathered.add(Network::Itq, state, file)
        }
        Kind::Network(Network::Pca) => {
            let [input] = state.shape_of_rank::<1>("mean").map_err(wrong)?;
            let dims = dims.unwrap_or(512).min(input);
            let all = |name: &str, shape: &[usize]| state.get(name, shape).map_err(wrong);
            let (mean, d) = (all("mean", &[input])?, all("d", &[input])?);
            let projection = whitening::projection(d, all("V", &[input, input])?, dims)
                .map_err(|e| wrong(WeightsError::Config { network: "pca".into(), reason: e.to_string() }))?;
            let mut projected = StateDict::new("pca.");
            projected.insert("mean", vec![input], mean.to_vec()).map_err(wrong)?;
            projected.insert("DVt", vec![input, dims], projection).map_err(wrong)?;
            gathered.agree(Network::Pca, dims, file)?;
            gathered.config.whitening = Some(WhiteningConfig { input, dims });
            gathered.add(Network::Pca, projected, file)
        }
        Kind::Network(Network::Backbone) | Kind::Extractor => extractor(gathered, file, &state),
    }
}

/// torchvision's ResNet, bare or inside upstream's FeatureExtractor (`cnn.*`, `pca.*`): the official preprocessing and
/// L3-iMAC come with it.
fn extractor(gathered: &mut Gathered, file: &str, state: &StateDict) -> Result<(), ConvertError> {
    let wrong = |source| ConvertError::Weights { file: file.to_owned(), source };
    let mut backbone = StateDict::new("backbone.");
    let mut pca = StateDict::new("pca.");
    let bare = state.contains("layer1.0.conv1.weight");
    for (name, tensor) in state.iter() {
        if let Some(key) = name.strip_prefix("pca.") {
            pca.insert(key, tensor.shape.clone(), tensor.data.clone()).map_err(wrong)?;
        } else if let Some(key) = if bare { Some(name) } else { name.strip_prefix("cnn.") } {
            // The classifier is not part of the backbone.
            if !key.starts_with("fc.") {
                backbone.insert(key, tensor.shape.clone(), tensor.data.clone()).map_err(wrong)?;
            }
        }
    }
    let config = resnet(&backbone).map_err(wrong)?;
    gathered.config.preprocess = Some(Preprocess::imagenet(256, 224));
    gathered.config.regions = Some(RegionPooling::L3Imac { kernels: L3_IMAC_KERNELS.to_vec() });
    gathered.config.backbone = Some(config);
    gathered.add(Network::Backbone, backbone, file)?;
    if !pca.is_empty() {
        let [input, dims] = pca.shape_of_rank::<2>("DVt").map_err(wrong)?;
        gathered.agree(Network::Pca, dims, file)?;
        gathered.config.whitening = Some(WhiteningConfig { input, dims });
        gathered.add(Network::Pca, pca, file)?;
    }
    Ok(())
}

/// The sizes of a bottleneck ResNet, read off its weights.
fn resnet(state: &StateDict) -> Result<BackboneConfig, WeightsError> {
    let [stem, _, _, _] = state.shape_of_rank::<4>("conv1.weight")?;
    let [width, _, _, _] = state.shape_of_rank::<4>("layer1.0.conv1.weight")?;
    let [wide, _, _, _] = state.shape_of_rank::<4>("layer1.0.conv3.weight")?;
    let blocks: Vec<usize> = (1..)
        .map(|stage| (0..).take_while(|b| state.contains(&format!("layer{stage}.{b}.conv1.weight"))).count())
        .take_while(|&n| n > 0)
        .collect();
    let expansion = wide / width.max(1);
    let config = BackboneConfig::Resnet(ResnetConfig { blocks, stem, width, expansion });
    let refuse = |reason: String| WeightsError::Config { network: "backbone".into(), reason };
    for (name, shape) in config.tensors().map_err(|e| refuse(e.to_string()))? {
        state.get(&name, &shape)?;
    }
    Ok(config)
}
