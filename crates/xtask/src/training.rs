//! The default bundle from an empty folder, and its hard benchmark.

use std::path::Path;

use crate::run::Line;
use crate::tools::ffmpeg_is_there;

/// Trains the default bundle from material to files, or goes on where an earlier run stopped; then measures it.
pub(crate) fn train_default(media: &Path, work: &Path, out: &Path) -> Result<(), String> {
    ffmpeg_is_there()?;
    let under = |part: &str| media.join(part).display().to_string();
    let mut line = Line::cargo().args("run -q --release -p vidsieve-cli --features train -- train bundle --work");
    line = line.arg(&work.display().to_string());
    let has_media = media.join("stills").is_dir();
    if has_media {
        line = line.arg("--stills").arg(&under("stills")).arg(&under("stills2"));
        line = line.arg("--clips").arg(&under("clips")).arg("--exclude").arg(&under("copies/truth.json"));
    } else {
        eprintln!("note: {} is not here; training on drawn images alone", media.display());
    }
    let file = |name: &str| out.join(name).display().to_string();
    line.arg("--out").arg(&file("default.safetensors")).arg("--full").arg(&file("default-full.safetensors")).run()?;
    if !has_media {
        return Ok(());
    }
    vidsieve()
        .args("eval retrieval --videos")
        .arg(&media.display().to_string())
        .arg("--truth")
        .arg(&under("copies/truth.json"))
        .arg("--model")
        .arg(&file("default-full.safetensors"))
        .run()?;
    hard_benchmark(media, work, &out.join("default-full.safetensors"), &work.join("plots"))
}

/// The command with training.
fn vidsieve() -> Line {
    Line::cargo().args("run -q --release -p vidsieve-cli --features train --")
}

/// The hard benchmark of a bundle, with selectors of other thresholds; each command continues where it stopped.
pub(crate) fn hard_benchmark(media: &Path, work: &Path, model: &Path, plots: &Path) -> Result<(), String> {
    ffmpeg_is_there()?;
    let under = |part: &str| media.join(part).display().to_string();
    // A folder of its own: features of this bundle are not those of a run that trains another.
    let (work, model) = (work.join("hard").display().to_string(), model.display().to_string());
    if !media.join("copies/truth.json").exists() {
        return Err(format!(
            "{} is not here: held-out clips are those that its copies/truth.json names",
            media.display()
        ));
    }
    let line = vidsieve().args("train features --work").arg(&work).arg("--from").arg(&model);
    let line = line.arg("--stills").arg(&under("stills")).arg(&under("stills2")).arg("--clips").arg(&under("clips"));
    line.arg("--exclude").arg(&under("copies/truth.json")).run()?;
    vidsieve().args("eval ablation threshold --work").arg(&work).arg("--model").arg(&model).run()?;
    let line = vidsieve().args("eval hard --work").arg(&work).arg("--model").arg(&model);
    let line = line.arg("--clips").arg(&under("clips")).arg("--named-in").arg(&under("copies/truth.json"));
    let line = line.arg("--stills").arg(&under("stills")).arg(&under("stills2")).arg("--selectors").arg(&work);
    line.arg("--plots").arg(&plots.display().to_string()).run()
}
