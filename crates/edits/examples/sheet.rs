//! Writes contact sheets as PNG files, to be looked at.
//!
//! Usage: `cargo run --release -p vidsieve-edits --example sheet views|edits|chains|clips OUT.png [FOLDER OF IMAGES]`:
//! * `views`: in each row an image, its plain view and edited views;
//! * `edits`: in each row a kind of edit, milder on the left and stronger on the right;
//! * `chains`: in each row a clip and chains of 2 to 4 edits;
//! * `clips`: in each row the frames of a clip, half a second apart.
//!
//! Without a folder, procedural images are taken.

use std::error::Error;
use std::sync::Arc;

use vidsieve_edits::clip::{ProceduralClip, ShotConfig, StillClip};
use vidsieve_edits::views::{Strength, ViewConfig, ViewMaker};
use vidsieve_edits::{Clip, Edit, Edited, Image, Kind, SourceFacts, generator, procedural};

struct Sheet {
    image: Image,
    cell: (u32, u32),
}

impl Sheet {
    fn new(columns: u32, rows: u32, cell: (u32, u32)) -> Self {
        Self { image: Image::filled(columns * (cell.0 + 4), rows * (cell.1 + 4), [120, 120, 125]), cell }
    }

    /// Puts an image into a cell, whole and undistorted.
    fn put(&mut self, column: u32, row: u32, image: &Image) {
        let (width, height) = (image.width as f32, image.height as f32);
        let scale = (self.cell.0 as f32 / width).min(self.cell.1 as f32 / height);
        let small = image.resize((width * scale).round() as u32, (height * scale).round() as u32);
        let x = column * (self.cell.0 + 4) + 2 + (self.cell.0 - small.width.min(self.cell.0)) / 2;
        let y = row * (self.cell.1 + 4) + 2 + (self.cell.1 - small.height.min(self.cell.1)) / 2;
        self.image.paste(&small, x.into(), y.into(), 1.0);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().ok_or("give views, edits, chains or clips")?;
    let out = arguments.next().ok_or("give the file to write")?;
    let images: Vec<Arc<Image>> = match arguments.next() {
        Some(folder) => {
            let mut paths: Vec<_> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
            paths.sort();
            let step = (paths.len() / 60).max(1);
            let files = paths.iter().step_by(step).filter_map(|path| std::fs::read(path).ok());
            files.filter_map(|bytes| Image::decode(&bytes).ok().map(Arc::new)).collect()
        }
        None => (0..40).map(|i| Arc::new(procedural::still(&mut generator(&[7, i]), 192, 144))).collect(),
    };
    if images.is_empty() {
        return Err("no image could be read".into());
    }
    let sheet = match what.as_str() {
        "views" => views(&images)?,
        "edits" => edits(&images)?,
        "chains" => chains(&images)?,
        "clips" => clips(&images)?,
        _ => return Err("give views, edits, chains or clips".into()),
    };
    std::fs::write(out, sheet.image.encode_png()?)?;
    Ok(())
}

fn views(images: &[Arc<Image>]) -> Result<Sheet, Box<dyn Error>> {
    let others: Vec<&Image> = images.iter().map(AsRef::as_ref).collect();
    let maker = ViewMaker::new(ViewConfig::default())?;
    let (rows, columns, side) = (12, 14, 96);
    let mut sheet = Sheet::new(columns, rows, (side, side));
    for row in 0..rows {
        let image = &images[row as usize * 3 % images.len()];
        sheet.put(0, row, image);
        for column in 1..columns {
            let strength = if column == 1 { Strength::Plain } else { Strength::Edited };
            let mut rng = generator(&[1, row.into(), column.into()]);
            sheet.put(column, row, &maker.make(&mut rng, image, &others, side, strength).image);
        }
    }
    Ok(sheet)
}

fn source(images: &[Arc<Image>], number: u64) -> Result<Box<dyn Clip>, Box<dyn Error>> {
    let config = ShotConfig { width: 256, height: 144, layers: 3, ..ShotConfig::default() };
    Ok(Box::new(StillClip::new(images, number, config)?))
}

fn edited(images: &[Arc<Image>], number: u64, edit: Edit) -> Result<Edited, Box<dyn Error>> {
    let hosts = (0..edit.hosts()).map(|i| source(images, number + 1000 + i as u64)).collect::<Result<_, _>>()?;
    Ok(Edited::new(source(images, number)?, hosts, edit)?)
}

const FACTS: SourceFacts = SourceFacts { width: 256, height: 144, duration: 10.0 };

fn edits(images: &[Arc<Image>]) -> Result<Sheet, Box<dyn Error>> {
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| *kind < Kind::Speed).collect();
    let columns = 9;
    let mut sheet = Sheet::new(columns, kinds.len() as u32, (144, 100));
    for (row, &kind) in (0..).zip(&kinds) {
        sheet.put(0, row, &source(images, row.into())?.frame(4.0)?);
        for column in 1..columns {
            let strength = (column - 1) as f32 / (columns - 2) as f32;
            let edit = Edit::sample(&mut generator(&[2, row.into(), column.into()]), kind, strength, &FACTS);
            sheet.put(column, row, &edited(images, row.into(), edit)?.frame(4.0)?);
        }
    }
    Ok(sheet)
}

fn chains(images: &[Arc<Image>]) -> Result<Sheet, Box<dyn Error>> {
    let (columns, rows) = (9, 12);
    let mut sheet = Sheet::new(columns, rows, (144, 110));
    for row in 0..rows {
        sheet.put(0, row, &source(images, row.into())?.frame(4.0)?);
        for column in 1..columns {
            let mut rng = generator(&[3, row.into(), column.into()]);
            let edit = Edit::sample_chain(&mut rng, 2 + column as usize % 3, 0.5, &FACTS);
            let mut clip = edited(images, row.into(), edit)?;
            let middle = clip.segments().first().map_or(0.0, |part| (part.edited[0] + part.edited[1]) / 2.0);
            sheet.put(column, row, &clip.frame(middle)?);
        }
    }
    Ok(sheet)
}

fn clips(images: &[Arc<Image>]) -> Result<Sheet, Box<dyn Error>> {
    let (columns, rows) = (12, 12);
    let mut sheet = Sheet::new(columns, rows, (128, 96));
    for row in 0..rows {
        let config = ShotConfig { duration: 6.0, ..ShotConfig::default() };
        let seed = u64::from(row);
        let mut clip: Box<dyn Clip> = match row % 3 {
            0 => Box::new(ProceduralClip::new(seed, config)?),
            1 => Box::new(StillClip::new(images, seed, config)?),
            _ => {
                let edit = Edit::sample(&mut generator(&[4, seed]), Kind::FilmedScreen, 0.7, &FACTS);
                Box::new(Edited::new(Box::new(StillClip::new(images, seed, config)?), Vec::new(), edit)?)
            }
        };
        for column in 0..columns {
            sheet.put(column, row, &clip.frame(f64::from(column) * 0.5)?);
        }
    }
    Ok(sheet)
}
