//! Searches an endpoint of the HTTP API, such as `vidsieve serve`, for a video. Only its record is sent.
//!
//! `cargo run --release -p vidsieve --features client --example ask_an_endpoint -- ADDRESS VIDEO`
//!
//! The environment variable `VIDSIEVE_TOKEN` holds the token if the endpoint asks for one.

use std::error::Error;

use vidsieve::client::{Endpoint, Settings, TOKEN, block_on};
use vidsieve::{Control, EncodeOptions, Model, encode_file};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, video] = arguments.as_slice() else { return Err("give ADDRESS VIDEO".into()) };

    let token = std::env::var(TOKEN).ok();
    let endpoint = Endpoint::open(address, token.as_deref(), Settings::default())?;
    let model = Model::built_in()?;
    block_on(async {
        // Videos of different models cannot be compared.
        if endpoint.bundle().await? != model.id() {
            return Err("the endpoint has another model".into());
        }
        let video = encode_file(&model, video, &EncodeOptions::new(), &Control::new())?;
        let pages = endpoint.search(video.record()?.as_bytes(), "top=5").await?;
        // The last page is the refined one.
        for hit in pages.lines.last().and_then(|page| page["hits"].as_array()).into_iter().flatten() {
            println!("{:.3} {}", hit["score"].as_f64().unwrap_or_default(), hit["id"].as_str().unwrap_or_default());
        }
        Ok::<_, Box<dyn Error>>(())
    })??;
    Ok(())
}
