//! The README's picture: a recording of the real page.

use crate::native::native;
use crate::run::Line;
use crate::tools::{chromium, ffmpeg_is_there};
use crate::web;

/// Where the picture is kept.
const PICTURE: &str = "docs/page.webp";

/// Records the page in Chromium while it finds a clip, and writes the picture.
pub(crate) fn make() -> Result<(), String> {
    web::built()?;
    ffmpeg_is_there()?;
    Line::new("node")
        .arg("www/test/picture.mjs")
        .arg(PICTURE)
        .env("VIDSIEVE", &native()?)
        .env("VIDSIEVE_CHROMIUM", &chromium()?)
        .run()
}
