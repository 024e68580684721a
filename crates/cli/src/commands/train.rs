//! `vidsieve train`.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use vidsieve_kernels::Isa;
use vidsieve_model::bundle::Storage;
use vidsieve_train::data::clips::videos as videos_below;
use vidsieve_train::data::editing::{self, EditOptions, RenderOptions};
use vidsieve_train::data::material::{Stills, gather, named_in_truth};
use vidsieve_train::learners::run::Values;
use vidsieve_train::monitor::{Monitor, Progress, StageNote};
use vidsieve_train::networks::sizes::Sizes;
use vidsieve_train::recipe::{Networks, Recipe, RecipeStage, Workshop, bundles, carry_out, read_bundle, save_report};
use vidsieve_train::{TrainError, device};
use vidsieve_video::CancelToken;

use crate::native::interrupt;
use crate::output::{Failure, json, line, make_folder_of, read, size, write};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make videos with known relations: rendered clips, edited copies.
    #[command(subcommand)]
    Data(Data),
    /// Print the default recipe: every option of every stage as JSON, for --recipe.
    Recipe,
    /// Train the backbone, self-supervised: instance discrimination on views of stills.
    Backbone(Run),
    /// Fit the PCA-whitening of region vectors (this and all later stages first run the missing stages).
    Pca(Run),
    /// Compute the video tensors of the training and validation corpora.
    Features(Run),
    /// Fit iterative quantisation: the initial binary layer.
    Itq(Run),
    /// Train the teacher T (ViSiL) on triplets of edited copies and distractors.
    Teacher(Run),
    /// Train a student by distillation.
    Student {
        /// Student to train.
        #[arg(long)]
        kind: Kind,
        #[command(flatten)]
        run: Run,
    },
    /// Train the selector SN.
    Selector(Run),
    /// Run all missing stages and the calibration, and write the bundle files.
    Bundle {
        /// Bundle for browsers to write: backbone, whitening, S^f_B, S^c, SN.
        #[arg(long)]
        out: PathBuf,
        /// Bundle to write that also holds S^f_A and the teacher.
        #[arg(long)]
        full: Option<PathBuf>,
        /// Storage of the weights.
        #[arg(long, default_value = "f16")]
        storage: StorageArg,
        /// Licence that the bundle states.
        #[arg(long, default_value = "MIT OR Apache-2.0")]
        licence: String,
        #[command(flatten)]
        run: Run,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// Render clips: pans and zooms over stills, or drawn scenes if there are none.
    Render {
        /// Folder to write to.
        #[arg(long)]
        out: PathBuf,
        /// Folders of JPEG or PNG images.
        #[arg(long, num_args = 1..)]
        stills: Vec<PathBuf>,
        /// Number of clips.
        #[arg(long, default_value_t = 12)]
        count: u64,
        /// Seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Log lines as JSON instead of a progress bar.
        #[arg(long)]
        json: bool,
    },
    /// Make edited copies of videos, of every kind and chains, with truth.json, segments.json and edits.json.
    Edit {
        /// Folder of videos.
        #[arg(long)]
        videos: PathBuf,
        /// Folder to write to.
        #[arg(long)]
        out: PathBuf,
        /// Only videos that this truth file names.
        #[arg(long)]
        named_in: Option<PathBuf>,
        /// Kinds of edits, separated by commas (default: all).
        #[arg(long, value_delimiter = ',')]
        kinds: Vec<String>,
        /// Seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Log lines as JSON instead of a progress bar.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// S^c.
    Coarse,
    /// S^f_A.
    FineAttention,
    /// S^f_B.
    FineBinary,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum StorageArg {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// 8 bits with a scale a row.
    Int8,
}

/// Options of all stages.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Working folder: checkpoints, features, results. The same command continues where it stopped.
    #[arg(long)]
    work: PathBuf,
    /// Folders of JPEG or PNG images.
    #[arg(long, num_args = 1..)]
    stills: Vec<PathBuf>,
    /// Folders of videos.
    #[arg(long, num_args = 1..)]
    clips: Vec<PathBuf>,
    /// Truth files; videos that they name are left out of training.
    #[arg(long, num_args = 1..)]
    exclude: Vec<PathBuf>,
    /// Approximate maximum of stills of one owner (the file name up to its last `-`).
    #[arg(long, default_value_t = 2000)]
    per_owner: usize,
    /// Recipe as printed by `train recipe`; missing options have their defaults.
    #[arg(long)]
    recipe: Option<PathBuf>,
    /// Sizes of the networks as JSON.
    #[arg(long)]
    sizes: Option<PathBuf>,
    /// Bundle whose networks are used instead of training them; the selector and the calibration are made again.
    #[arg(long)]
    from: Option<PathBuf>,
    /// Bundle whose backbone is trained further, instead of a new one; everything else is made again.
    #[arg(long, conflicts_with = "from")]
    start: Option<PathBuf>,
    /// Labelled copies among the clips: JSON `[["a.mp4", "b.mp4"], ...]` of file names; the teacher learns from them too.
    #[arg(long)]
    labels: Option<PathBuf>,
    /// Log lines as JSON instead of progress bars.
    #[arg(long)]
    json: bool,
}

/// Number of images that are drawn if none are given.
const DRAWN: usize = 3000;

/// Progress bars on a terminal, JSON lines on request; every line also goes to the log of the working folder.
pub(crate) struct Show {
    bar: ProgressBar,
    stage: String,
    json: bool,
    log: Option<std::fs::File>,
    cancel: CancelToken,
    told: Cell<bool>,
}

impl Show {
    pub(crate) fn new(json: bool, log: Option<&std::path::Path>) -> Result<Self, Failure> {
        let log = log
            .map(|path| {
                std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(path)
                    .map_err(|e| Failure::new(format_args!("{}: {e}", path.display())))
            })
            .transpose()?;
        let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(1) };
        if let Ok(style) = ProgressStyle::with_template("{prefix:20} [{bar:30}] {pos}/{len} {eta} {msg}") {
            bar.set_style(style);
        }
        let cancel = interrupt::token();
        Ok(Self { bar, stage: String::new(), json, log, cancel, told: Cell::new(false) })
    }

    /// Writes a line of the working folder's log.
    fn log(&mut self, what: &impl serde::Serialize) -> Option<String> {
        use std::io::Write;
        let text = serde_json::to_string(what).ok()?;
        if let Some(log) = &mut self.log {
            let _ = writeln!(log, "{text}");
        }
        Some(text)
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn figures(values: &Values) -> String {
    let shown = ["loss", "validation_map", "validation_recall1", "validation_auc", "map"];
    let part = |name: &&str| values.get(*name).map(|v| format!("{} {v:.4}", name.trim_start_matches("validation_")));
    shown.iter().filter_map(part).collect::<Vec<_>>().join("  ")
}

impl Monitor for Show {
    fn report(&mut self, progress: &Progress) {
        if let Some(text) = self.log(progress)
            && self.json
        {
            line(text);
        }
        if self.stage != progress.stage {
            if !self.stage.is_empty() {
                self.bar.println(format!("{} done", self.stage));
            }
            self.stage.clone_from(&progress.stage);
            self.bar.reset();
            self.bar.set_prefix(progress.stage.clone());
        }
        self.bar.set_length(progress.steps);
        self.bar.set_position(progress.step);
        self.bar.set_message(figures(&progress.values));
    }

    fn note(&mut self, note: &StageNote) {
        self.log(note);
        self.bar.suspend(|| eprintln!("vidsieve: {note}"));
    }

    fn cancelled(&self) -> bool {
        let cancelled = self.cancel.is_cancelled();
        if cancelled && !self.told.replace(true) {
            self.bar.suspend(|| eprintln!("stopping after this step; once more ends at once"));
        }
        cancelled
    }
}

pub(crate) fn option<T: Default + serde::de::DeserializeOwned>(path: Option<&PathBuf>) -> Result<T, Failure> {
    let Some(path) = path else { return Ok(T::default()) };
    serde_json::from_slice(&read(path)?).map_err(|e| Failure::new(format_args!("{}: {e}", path.display())))
}

/// Runs the recipe up to a stage; an interrupted run exits with status 1.
fn stage(
    run: &Run,
    until: RecipeStage,
    then: impl FnOnce(&Workshop, &Networks) -> Result<(), Failure>,
) -> Result<ExitCode, Failure> {
    let recipe: Recipe = option(run.recipe.as_ref())?;
    let sizes: Sizes = option(run.sizes.as_ref())?;
    let mut excluded = BTreeSet::new();
    for truth in &run.exclude {
        excluded.extend(named_in_truth(truth)?);
    }
    std::fs::create_dir_all(&run.work).map_err(|e| Failure::new(format_args!("{}: {e}", run.work.display())))?;
    let mut show = Show::new(run.json, Some(&run.work.join("log.jsonl")))?;
    let (mut material, refused) = gather(&run.stills, &run.clips, &excluded, run.per_owner)?;
    material.labels = option(run.labels.as_ref())?;
    if material.stills.is_empty() {
        eprintln!(
            "no images were given with --stills: training on {DRAWN} drawn ones, which teach less than photographs"
        );
        material.draw(DRAWN);
    }
    for reason in refused {
        eprintln!("left out: {reason}");
    }
    let given = run.from.as_ref().map(|path| read_bundle(path)).transpose()?.map(Arc::new);
    let start = run.start.as_ref().map(|path| read_bundle(path)).transpose()?.map(Arc::new);
    let shop = Workshop { folder: run.work.clone(), isa: Isa::best(), device: device(), sizes, given, start };
    let outcome = carry_out(&shop, &recipe, &material, until, &mut show);
    show.finish();
    let (networks, report) = match outcome {
        Err(TrainError::Cancelled) => {
            eprintln!("vidsieve: {}", TrainError::Cancelled);
            return Ok(ExitCode::from(1));
        }
        other => other?,
    };
    save_report(&shop, &recipe, &report)?;
    if let Some(networks) = networks {
        then(&shop, &networks)?;
    }
    if run.json {
        json(&report)?;
    } else {
        for (name, stage) in &report.stages {
            line(format_args!("{name:20} {:8.1} s  {}", stage.seconds, figures(&stage.values)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Data(data) => self::data(data),
        Command::Recipe => {
            json(&Recipe::default())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Backbone(run) => stage(&run, RecipeStage::Backbone, |_, _| Ok(())),
        Command::Pca(run) => stage(&run, RecipeStage::Pca, |_, _| Ok(())),
        Command::Features(run) => stage(&run, RecipeStage::Features, |_, _| Ok(())),
        Command::Itq(run) => stage(&run, RecipeStage::Itq, |_, _| Ok(())),
        Command::Teacher(run) => stage(&run, RecipeStage::Teacher, |_, _| Ok(())),
        Command::Student { kind, run } => {
            let until = match kind {
                Kind::Coarse => RecipeStage::Coarse,
                Kind::FineAttention => RecipeStage::FineAttention,
                Kind::FineBinary => RecipeStage::FineBinary,
            };
            stage(&run, until, |_, _| Ok(()))
        }
        Command::Selector(run) => stage(&run, RecipeStage::Selector, |_, _| Ok(())),
        Command::Bundle { out, full, storage, licence, run } => {
            let storage = match storage {
                StorageArg::F32 => Storage::F32,
                StorageArg::F16 => Storage::F16,
                StorageArg::Int8 => Storage::Int8,
            };
            [Some(&out), full.as_ref()].into_iter().flatten().try_for_each(|path| make_folder_of(path))?;
            stage(&run, RecipeStage::Calibration, |shop, networks| {
                let provenance = BTreeMap::from([
                    ("trained by".to_owned(), format!("vidsieve {}", env!("CARGO_PKG_VERSION"))),
                    ("recipe".to_owned(), serde_json::to_string(&option::<Recipe>(run.recipe.as_ref())?)?),
                ]);
                let [browser, whole] = bundles(shop, networks, storage, &licence, &provenance)?;
                write(&out, browser.as_bytes())?;
                line(format_args!("{}  {}  {}", out.display(), size(browser.as_bytes().len()), browser.id()));
                if let Some(full) = &full {
                    write(full, whole.as_bytes())?;
                    line(format_args!("{}  {}  {}", full.display(), size(whole.as_bytes().len()), whole.id()));
                }
                Ok(())
            })
        }
    }
}

fn data(data: Data) -> Result<ExitCode, Failure> {
    match data {
        Data::Render { out, stills, count, seed, json } => {
            let mut show = Show::new(json, None)?;
            let (stills, refused) = Stills::load(&stills)?;
            for reason in refused {
                eprintln!("left out: {reason}");
            }
            let stills: Vec<Arc<_>> = stills.images.into_iter().map(Arc::new).collect();
            let options = RenderOptions { count, seed, ..RenderOptions::default() };
            let written = editing::render(&out, &stills, &options, &mut show)?;
            show.finish();
            line(format_args!("{} clips in {}", written.len(), out.display()));
        }
        Data::Edit { videos, out, named_in, kinds, seed, json } => {
            let mut show = Show::new(json, None)?;
            let named = named_in.map(|path| named_in_truth(&path)).transpose()?;
            let mut sources = videos_below(&videos)?;
            if let Some(named) = named {
                sources.retain(|p| p.file_name().is_some_and(|n| named.contains(n.to_string_lossy().as_ref())));
            }
            let options = EditOptions { kinds, seed, ..EditOptions::default() };
            let copies = editing::edit(&out, &sources, &options, &mut show)?;
            show.finish();
            line(format_args!("{} copies of {} videos in {}", copies.len(), sources.len(), out.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}
