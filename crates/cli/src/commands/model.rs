//! `vidsieve model`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use serde_json::json;
use vidsieve_model::bundle::Bundle;
#[cfg(feature = "convert")]
use vidsieve_model::bundle::Storage;
#[cfg(feature = "convert")]
use vidsieve_model::convert::{ConvertOptions, ConvertSource, convert};

use crate::output::{self, Failure, line, size};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[cfg(feature = "convert")]
    /// Convert official PyTorch files (.pth) to one bundle. No code in them is executed.
    Convert {
        /// Official files: students, selector, ViSiL head, PCA, ITQ, torchvision's ResNet-50; zip or legacy pickles.
        #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
        from: Vec<PathBuf>,
        /// Bundle to write.
        #[arg(long, value_name = "BUNDLE")]
        out: PathBuf,
        /// Storage of the weights.
        #[arg(long, value_enum, default_value = "f32")]
        storage: StorageKind,
        /// Dimensions after whitening (default: those of the other files, else 512).
        #[arg(long)]
        dims: Option<usize>,
        /// Whether a ViSiL head is the symmetric variant (default: whether its file name contains `sym`).
        #[arg(long)]
        symmetric: Option<bool>,
        /// Licence of the weights, for the bundle's manifest.
        #[arg(long, default_value = "as the source files")]
        licence: String,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the contents of a bundle.
    Info {
        /// Bundle to show.
        bundle: PathBuf,
        /// List every tensor.
        #[arg(long)]
        tensors: bool,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum StorageKind {
    /// Unchanged.
    F32,
    /// Half precision.
    F16,
    /// 8 bits, with a scale for each row.
    Int8,
}

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        #[cfg(feature = "convert")]
        Command::Convert { from, out, storage, dims, symmetric, licence, json } => {
            let files = from.iter().map(|p| Ok((name_of(p), output::read(p)?))).collect::<Result<Vec<_>, Failure>>()?;
            let sources: Vec<ConvertSource<'_>> =
                files.iter().map(|(name, bytes)| ConvertSource { name, bytes }).collect();
            let storage = match storage {
                StorageKind::F32 => Storage::F32,
                StorageKind::F16 => Storage::F16,
                StorageKind::Int8 => Storage::Int8,
            };
            let bundle = convert(&sources, &ConvertOptions { storage, dims, symmetric, licence })?;
            output::make_folder_of(&out)?;
            output::write(&out, bundle.as_bytes())?;
            if json {
                info(&bundle, false, true)?;
            } else {
                line(format_args!("wrote {} ({})", out.display(), size(bundle.as_bytes().len())));
                info(&bundle, false, false)?;
            }
        }
        Command::Info { bundle: path, tensors, json } => {
            let bundle = Bundle::from_bytes(&path.display().to_string(), output::read(&path)?)?;
            info(&bundle, tensors, json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "convert")]
fn name_of(path: &std::path::Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

fn info(bundle: &Bundle, tensors: bool, json: bool) -> Result<(), Failure> {
    let list = bundle.list()?;
    let manifest = bundle.manifest();
    if json {
        let networks: serde_json::Map<String, serde_json::Value> = bundle
            .networks()
            .map(|n| {
                let of: Vec<_> = list.iter().filter(|t| t.name.split('.').next() == Some(n.name())).collect();
                let parameters: usize = of.iter().map(|t| t.shape.iter().product::<usize>()).sum();
                let bytes: usize = of.iter().map(|t| t.bytes).sum();
                (n.name().to_owned(), json!({ "tensors": of.len(), "parameters": parameters, "bytes": bytes }))
            })
            .collect();
        let mut value = json!({
            "id": bundle.id().to_string(), "bytes": bundle.as_bytes().len(), "format": manifest.format,
            "licence": manifest.licence, "provenance": manifest.provenance, "config": manifest.config,
            "networks": networks,
        });
        if tensors {
            value["tensors"] = list
                .iter()
                .map(|t| json!({ "name": t.name, "shape": t.shape, "storage": t.storage, "bytes": t.bytes }))
                .collect();
        }
        return output::json(&value);
    }
    line(format_args!("id       sha256:{}", bundle.id()));
    line(format_args!("size     {}", size(bundle.as_bytes().len())));
    line(format_args!("licence  {}", manifest.licence));
    for network in bundle.networks() {
        let of = list.iter().filter(|t| t.name.split('.').next() == Some(network.name()));
        let (mut count, mut parameters, mut bytes) = (0, 0, 0);
        for t in of.clone() {
            count += 1;
            parameters += t.shape.iter().product::<usize>();
            bytes += t.bytes;
        }
        let storage: std::collections::BTreeSet<&str> = of.map(|t| t.storage).collect();
        let storage = storage.into_iter().collect::<Vec<_>>().join("+");
        line(format_args!(
            "{:<15} {parameters:>10} parameters in {count:>3} tensors, {:>9}, {storage}",
            network.name(),
            size(bytes)
        ));
    }
    for (network, source) in &manifest.provenance {
        line(format_args!("from     {network}: {source}"));
    }
    line(format_args!("config   {}", serde_json::to_string(&manifest.config)?));
    if tensors {
        for t in &list {
            line(format_args!("{:<58} {:>22} {:>7} {:>9}", t.name, format!("{:?}", t.shape), t.storage, size(t.bytes)));
        }
    }
    Ok(())
}
