//! Clips: moving pictures that give a frame for any time, made of noise and shapes, of stills, or of frames in memory.

use std::f64::consts::TAU;
use std::sync::Arc;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::draw::{self, Point, Sticker};
use crate::image::{Image, mix};
use crate::procedural::{self, Fill, log_uniform};
use crate::warp::{Border, Projective};
use crate::{EditError, Pcg64, generator};

/// A moving picture.
pub trait Clip: Send {
    /// The length in seconds, above 0.
    fn duration(&self) -> f64;
    /// Width and height of every frame, in pixels.
    fn size(&self) -> (u32, u32);
    /// The frame shown at `time` seconds; times before the start and behind the end give the first and last frame.
    ///
    /// # Errors
    /// Where the frame cannot be had, by what the clip is made of.
    fn frame(&mut self, time: f64) -> Result<Image, EditError>;
}

impl<C: Clip + ?Sized> Clip for Box<C> {
    fn duration(&self) -> f64 {
        (**self).duration()
    }

    fn size(&self) -> (u32, u32) {
        (**self).size()
    }

    fn frame(&mut self, time: f64) -> Result<Image, EditError> {
        (**self).frame(time)
    }
}

/// Frames in memory, shown one after the other. Copies share the frames.
#[derive(Clone, Debug)]
pub struct FrameClip {
    frames: Arc<Vec<Image>>,
    fps: f64,
}

impl FrameClip {
    /// A clip of `frames`, all of one size, `fps` a second (above 0, at most 1000).
    ///
    /// # Errors
    /// [`EditError::Clip`] for no frames, frames of several sizes, or a rate out of range.
    pub fn new(frames: Vec<Image>, fps: f64) -> Result<Self, EditError> {
        let refuse = |reason: String| Err(EditError::Clip { reason });
        let Some(first) = frames.first() else {
            return refuse("there are no frames, give at least one".into());
        };
        if !(fps > 0.0 && fps <= 1000.0) {
            return refuse(format!("{fps} frames a second are out of range, give 0 to 1000"));
        }
        let size = (first.width, first.height);
        if let Some(other) = frames.iter().position(|frame| (frame.width, frame.height) != size) {
            return refuse(format!("frame {other} has another size than the first one, resize it first"));
        }
        Ok(Self { frames: Arc::new(frames), fps })
    }

    /// The frames.
    pub fn frames(&self) -> &[Image] {
        &self.frames
    }

    /// Frames a second.
    pub fn fps(&self) -> f64 {
        self.fps
    }
}

impl Clip for FrameClip {
    fn duration(&self) -> f64 {
        self.frames.len() as f64 / self.fps
    }

    fn size(&self) -> (u32, u32) {
        (self.frames[0].width, self.frames[0].height)
    }

    fn frame(&mut self, time: f64) -> Result<Image, EditError> {
        // The small step forward keeps times that are whole frames from falling into the frame before.
        let index = (time * self.fps + 1e-6).max(0.0) as usize;
        Ok(self.frames[index.min(self.frames.len() - 1)].clone())
    }
}

/// What clips of noise or stills look like.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShotConfig {
    /// Width of the frames in pixels, 16 to 4096.
    pub width: u32,
    /// Height of the frames in pixels, 16 to 4096.
    pub height: u32,
    /// Length of the clip in seconds, above 0, at most 86,400.
    pub duration: f64,
    /// The shortest and longest shot in seconds, 0.2 or more.
    pub shot: [f64; 2],
    /// The most things that move through a shot, at most 50.
    pub layers: u32,
    /// How many of the cuts are dissolves of up to half a second, 0 to 1.
    pub dissolves: f64,
    /// Whether the camera stands still, and two things at least move through every shot and stay in it.
    pub fixed: bool,
    /// Which take: 0, or another one, of the same backgrounds seen by the same cameras, in which other things move.
    pub take: u64,
}

impl Default for ShotConfig {
    fn default() -> Self {
        Self {
            width: 192,
            height: 144,
            duration: 10.0,
            shot: [1.5, 5.0],
            layers: 5,
            dissolves: 0.15,
            fixed: false,
            take: 0,
        }
    }
}

impl ShotConfig {
    fn check(&self) -> Result<(), EditError> {
        let refuse = |reason: String| Err(EditError::Clip { reason });
        let sides = 16..=4096;
        if !sides.contains(&self.width) || !sides.contains(&self.height) {
            return refuse(format!("frames of {}x{} are out of range, give 16 to 4096", self.width, self.height));
        }
        if !(self.duration > 0.0 && self.duration <= 86_400.0) {
            return refuse(format!("a duration of {} s is out of range, give 0 to 86,400 s", self.duration));
        }
        let [low, high] = self.shot;
        if !(low >= 0.2 && low <= high && high.is_finite()) {
            return refuse(format!("shots of {low} to {high} s are out of range, give rising values of 0.2 s or more"));
        }
        if self.duration / low > 100_000.0 {
            return refuse("more than 100,000 shots, make the shots longer or the clip shorter".into());
        }
        if self.layers > 50 || !(0.0..=1.0).contains(&self.dissolves) {
            return refuse("layers or dissolves are out of range, give at most 50 and 0 to 1".into());
        }
        Ok(())
    }
}

/// A clip of noise, shapes that move, camera motion and cuts, all from a seed.
#[derive(Debug)]
pub struct ProceduralClip(Shots);

impl ProceduralClip {
    /// The clip of this seed.
    ///
    /// # Errors
    /// [`EditError::Clip`] for a configuration out of range.
    pub fn new(seed: u64, config: ShotConfig) -> Result<Self, EditError> {
        Shots::new(seed, config, &[]).map(Self)
    }

    /// The times of the cuts in seconds.
    pub fn cuts(&self) -> Vec<f64> {
        self.0.cuts()
    }
}

/// A clip that pans and zooms over stills, a shot for each, in random order; things may move over them.
#[derive(Debug)]
pub struct StillClip(Shots);

impl StillClip {
    /// The clip of these stills and this seed. With fewer stills than shots some are shown again, from elsewhere.
    ///
    /// # Errors
    /// [`EditError::Clip`] for no stills or a configuration out of range.
    pub fn new(stills: &[Arc<Image>], seed: u64, config: ShotConfig) -> Result<Self, EditError> {
        if stills.is_empty() {
            return Err(EditError::Clip { reason: "there are no stills, give at least one".into() });
        }
        Shots::new(seed, config, stills).map(Self)
    }

    /// The times of the cuts in seconds.
    pub fn cuts(&self) -> Vec<f64> {
        self.0.cuts()
    }
}

macro_rules! shot_clip {
    ($name:ty) => {
        impl Clip for $name {
            fn duration(&self) -> f64 {
                self.0.config.duration
            }

            fn size(&self) -> (u32, u32) {
                (self.0.config.width, self.0.config.height)
            }

            fn frame(&mut self, time: f64) -> Result<Image, EditError> {
                Ok(self.0.frame(time))
            }
        }
    };
}

shot_clip!(ProceduralClip);
shot_clip!(StillClip);

#[derive(Debug)]
struct Shots {
    config: ShotConfig,
    shots: Vec<Shot>,
    stills: Vec<Arc<Image>>,
    /// What the latest few shots show.
    made: Vec<(usize, Arc<Scene>)>,
}

/// What a shot shows.
#[derive(Debug)]
struct Scene {
    background: Arc<Image>,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Shot {
    start: f64,
    length: f64,
    /// Seconds of dissolve from the shot before.
    dissolve: f64,
    still: Background,
    from: Pose,
    to: Pose,
    shake: f64,
    seed: u64,
    layers: u32,
}

#[derive(Clone, Copy, Debug)]
enum Background {
    Still(usize),
    Noise(u64),
}

/// What part of a background the camera sees.
#[derive(Clone, Copy, Debug)]
struct Pose {
    centre: [f64; 2],
    zoom: f64,
    angle: f64,
}

/// Something that moves through a shot. Places in heights of the frame, speeds in heights a second.
#[derive(Debug)]
struct Layer {
    place: [f32; 2],
    speed: [f32; 2],
    sway: [f32; 2],
    spin: f32,
    /// Width and height that it moves to and fro in; none where it may leave.
    within: Option<[f32; 2]>,
    looks: Looks,
}

/// `value` as it is where it is in 0 to `end`, and reflected into that beyond.
fn to_and_fro(value: f32, end: f32) -> f32 {
    end - (value.rem_euclid(2.0 * end) - end).abs()
}

#[derive(Debug)]
enum Looks {
    Leaf { outline: Vec<Point>, fill: Box<Fill> },
    Sticker(Sticker),
}

impl Layer {
    fn sample(rng: &mut Pcg64, config: &ShotConfig, stickers: f64) -> Self {
        let aspect = config.width as f32 / config.height as f32;
        let size = log_uniform(rng, 0.06, 0.3);
        let looks = if rng.random_bool(stickers) {
            Looks::Sticker(Sticker::sample(rng, size * 1.4))
        } else {
            let radius = size * config.height as f32;
            let outline = procedural::leaf(rng, [0.0, 0.0], size);
            Looks::Leaf { outline, fill: Box::new(Fill::sample(rng, [0.0, 0.0], radius.max(4.0))) }
        };
        let fast = if rng.random_bool(0.3) { 0.5 } else { 0.15 };
        Self {
            place: [rng.random_range(0.0..aspect), rng.random_range(0.0..1.0)],
            speed: std::array::from_fn(|_| rng.random_range(-fast..fast)),
            sway: [rng.random_range(0.0..0.08), rng.random_range(0.1..1.0)],
            spin: if rng.random_bool(0.5) { rng.random_range(-1.5..1.5) } else { 0.0 },
            within: config.fixed.then_some([aspect, 1.0]),
            looks,
        }
    }

    fn draw(&self, image: &mut Image, time: f32) {
        let height = image.height as f32;
        let (sin, cos) = (std::f32::consts::TAU * self.sway[1] * time).sin_cos();
        let place: [f32; 2] = std::array::from_fn(|axis| {
            let place = self.place[axis] + self.speed[axis] * time;
            self.within.map_or(place, |within| to_and_fro(place, within[axis]))
        });
        let x = place[0] + self.sway[0] * sin;
        let y = place[1] + self.sway[0] * cos;
        let angle = self.spin * time;
        match &self.looks {
            Looks::Sticker(sticker) => {
                let centre = [x * height / image.width as f32, y];
                Sticker { centre, angle: sticker.angle + angle, ..sticker.clone() }.draw(image);
            }
            Looks::Leaf { outline, fill } => {
                let (sin, cos) = angle.sin_cos();
                let points: Vec<Point> = outline
                    .iter()
                    .map(|[u, v]| [(x + u * cos - v * sin) * height, (y + u * sin + v * cos) * height])
                    .collect();
                let (left, top) = ((x * height) as i32, (y * height) as i32);
                draw::fill_with(image, &points, |x, y, pixel, cover| {
                    mix(pixel, &fill.at(x as i32 - left, y as i32 - top), cover);
                });
            }
        }
    }
}

impl Pose {
    fn sample(rng: &mut Pcg64) -> Self {
        Self {
            centre: [rng.random_range(0.0..1.0), rng.random_range(0.0..1.0)],
            zoom: rng.random_range(0.6..1.0),
            angle: if rng.random_bool(0.1) { rng.random_range(-0.1..0.1) } else { 0.0 },
        }
    }

    fn towards(&self, to: &Self, share: f64) -> Self {
        let between = |a: f64, b: f64| a + (b - a) * share;
        Self {
            centre: [between(self.centre[0], to.centre[0]), between(self.centre[1], to.centre[1])],
            zoom: between(self.zoom, to.zoom),
            angle: between(self.angle, to.angle),
        }
    }
}

impl Shots {
    fn new(seed: u64, config: ShotConfig, stills: &[Arc<Image>]) -> Result<Self, EditError> {
        config.check()?;
        let mut rng = generator(&[0x5107, seed]);
        let mut shots = Vec::new();
        let mut start = 0.0;
        let mut order: Vec<usize> = Vec::new();
        while start < config.duration {
            let left = config.duration - start;
            let length = rng.random_range(config.shot[0]..=config.shot[1]);
            // No scrap of a shot at the end.
            let length = if left - length < config.shot[0] * 0.5 { left } else { length };
            let still = if stills.is_empty() {
                Background::Noise(rng.random())
            } else {
                if order.is_empty() {
                    order = (0..stills.len()).collect();
                    for i in (1..order.len()).rev() {
                        order.swap(i, rng.random_range(0..=i));
                    }
                }
                Background::Still(order.pop().unwrap_or(0))
            };
            let from = Pose::sample(&mut rng);
            // Some shots stand still, most drift, some sweep.
            let reach = [0.0, 0.3, 0.3, 0.6, 1.0][rng.random_range(0..5usize)];
            let to = from.towards(&Pose::sample(&mut rng), reach);
            let to = if config.fixed { from } else { to };
            let most = if stills.is_empty() || rng.random_bool(0.3) || config.fixed { config.layers } else { 0 };
            let least = if config.fixed { most.min(2) } else { 0 };
            let layers = rng.random_range(0..=most).max(least);
            let dissolve = if !shots.is_empty() && rng.random_bool(config.dissolves) {
                rng.random_range(0.1..0.5f64).min(length * 0.5)
            } else {
                0.0
            };
            let shake = if rng.random_bool(0.2) { rng.random_range(0.002..0.012) } else { 0.0 };
            shots.push(Shot { start, length, dissolve, still, from, to, shake, seed: rng.random(), layers });
            start += length;
        }
        Ok(Self { config, shots, stills: stills.to_vec(), made: Vec::new() })
    }

    fn cuts(&self) -> Vec<f64> {
        self.shots.iter().skip(1).map(|shot| shot.start).collect()
    }

    fn frame(&mut self, time: f64) -> Image {
        let time = if time.is_finite() { time.clamp(0.0, self.config.duration - 1e-6) } else { 0.0 };
        let index = self.shots.partition_point(|shot| shot.start <= time).max(1) - 1;
        let mut image = self.shot(index, time);
        let shot = &self.shots[index];
        let passed = time - shot.start;
        if index > 0 && passed < shot.dissolve {
            let share = 1.0 - passed / shot.dissolve;
            let before = self.shot(index - 1, time);
            mix(&mut image.pixels, &before.pixels, share as f32);
        }
        image
    }

    fn scene(&mut self, index: usize) -> Arc<Scene> {
        if let Some((_, scene)) = self.made.iter().find(|(shot, _)| *shot == index) {
            return Arc::clone(scene);
        }
        let shot = &self.shots[index];
        let (width, height) = (self.config.width, self.config.height);
        let (background, stickers) = match shot.still {
            Background::Still(still) => (Arc::clone(&self.stills[still]), 0.5),
            Background::Noise(seed) => {
                let mut rng = generator(&[0xbac4, seed]);
                (Arc::new(procedural::still(&mut rng, width + width / 3, height + height / 3)), 0.15)
            }
        };
        let mut rng = if self.config.take == 0 {
            generator(&[0x1a7e, shot.seed])
        } else {
            generator(&[0x1a7e, shot.seed, self.config.take])
        };
        let layers = (0..shot.layers).map(|_| Layer::sample(&mut rng, &self.config, stickers)).collect();
        let scene = Arc::new(Scene { background, layers });
        if self.made.len() >= 4 {
            self.made.remove(0);
        }
        self.made.push((index, Arc::clone(&scene)));
        scene
    }

    fn shot(&mut self, index: usize, time: f64) -> Image {
        let scene = self.scene(index);
        let background = &scene.background;
        let (width, height) = (f64::from(self.config.width), f64::from(self.config.height));
        let shot = &self.shots[index];
        let passed = time - shot.start;
        let mut pose = shot.from.towards(&shot.to, passed / shot.length);
        let shake = sway(shot.seed, passed);
        pose.angle += shake[2] * shot.shake;
        let (across, down) = (f64::from(background.width), f64::from(background.height));
        // Source pixels a pixel of the clip: at zoom 1 the clip covers as much of the background as fits.
        let scale = (across / width).min(down / height) * pose.zoom;
        let (seen_across, seen_down) = (scale * width, scale * height);
        let centre = [
            (seen_across * 0.5 + pose.centre[0] * (across - seen_across)) + shake[0] * shot.shake * seen_across,
            (seen_down * 0.5 + pose.centre[1] * (down - seen_down)) + shake[1] * shot.shake * seen_down,
        ];
        let map = Projective::translation(-width * 0.5, -height * 0.5)
            .then(&Projective::rotation(pose.angle))
            .then(&Projective::scaling(scale, scale))
            .then(&Projective::translation(centre[0], centre[1]));
        let mut image = background.warp(&map, self.config.width, self.config.height, Border::Mirror);
        for layer in &scene.layers {
            layer.draw(&mut image, passed as f32);
        }
        image
    }
}

/// Three smooth random motions of about -1 to 1, as of a hand that holds a camera.
pub(crate) fn sway(seed: u64, time: f64) -> [f64; 3] {
    let mut rng = generator(&[0x5a4, seed]);
    std::array::from_fn(|_| {
        let mut sum = 0.0;
        for (rate, weight) in [(0.4, 0.5), (1.1, 0.3), (2.9, 0.2)] {
            let phase = rng.random_range(0.0..1.0);
            let rate = rate * rng.random_range(0.7..1.3);
            sum += weight * (TAU * (rate * time + phase)).sin();
        }
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_of_a_fixed_camera_differ_by_what_moves() {
        let config = ShotConfig { duration: 12.0, shot: [12.0, 12.0], fixed: true, ..ShotConfig::default() };
        let frame = |take: u64, time: f64| {
            ProceduralClip::new(5, ShotConfig { take, ..config }).unwrap().frame(time).unwrap().pixels
        };
        let changed = |a: &[u8], b: &[u8]| {
            let pixels = a.chunks_exact(3).zip(b.chunks_exact(3)).filter(|(a, b)| a != b).count();
            pixels as f64 / (a.len() / 3) as f64
        };
        assert_eq!(frame(1, 3.0), frame(1, 3.0));
        for time in [0.0, 5.0, 11.0] {
            let takes = changed(&frame(0, time), &frame(1, time));
            assert!((0.001..0.8).contains(&takes), "the background is the same, what moves is not: {takes}");
        }
        // Nothing leaves.
        for (early, late) in [(0.0, 6.0), (10.0, 11.0)] {
            assert!(changed(&frame(0, early), &frame(0, late)) > 0.001);
        }
        assert!((0..40).all(|i| (0.0..=1.5).contains(&to_and_fro(i as f32 * 0.37 - 7.0, 1.5))));
        assert!((to_and_fro(1.9, 1.5) - 1.1).abs() < 1e-6 && (to_and_fro(0.4, 1.5) - 0.4).abs() < 1e-6);
    }

    fn apart(a: &Image, b: &Image) -> f64 {
        let sum: u64 = a.pixels.iter().zip(&b.pixels).map(|(&a, &b)| u64::from(a.abs_diff(b))).sum();
        sum as f64 / a.pixels.len() as f64
    }

    #[test]
    fn procedural_clips_follow_the_seed_and_move() {
        let config = ShotConfig { width: 80, height: 60, duration: 12.0, ..ShotConfig::default() };
        let mut clip = ProceduralClip::new(3, config).unwrap();
        let mut again = ProceduralClip::new(3, config).unwrap();
        // In any order of the times.
        let later = again.frame(11.0).unwrap();
        for time in [0.0, 0.5, 3.2, 7.7] {
            assert_eq!(clip.frame(time).unwrap(), again.frame(time).unwrap());
        }
        assert_eq!(clip.frame(11.0).unwrap(), later);
        assert_ne!(later, ProceduralClip::new(4, config).unwrap().frame(11.0).unwrap());
        assert_eq!(clip.frame(99.0).unwrap(), clip.frame(12.0).unwrap());
        assert_eq!(clip.frame(f64::NAN).unwrap(), clip.frame(0.0).unwrap());
        assert_eq!((clip.size(), clip.duration()), ((80, 60), 12.0));
        // Frames close in time are alike, frames across a cut are not.
        let cuts = clip.cuts();
        assert!(cuts.len() >= 2);
        let (mut within, mut across) = (0.0, 0.0);
        for cut in &cuts {
            within += apart(&clip.frame(cut + 0.8).unwrap(), &clip.frame(cut + 0.84).unwrap());
            across += apart(&clip.frame(cut - 0.02).unwrap(), &clip.frame(cut + 0.6).unwrap());
        }
        assert!(across > 3.0 * within, "within {within}, across {across}");
    }

    #[test]
    fn still_clips_show_their_stills() {
        let stills: Vec<_> = (0..3u8).map(|i| Arc::new(Image::filled(50, 40, [i * 100, 10, 10]))).collect();
        let config = ShotConfig {
            width: 32,
            height: 24,
            duration: 9.0,
            shot: [3.0, 3.0],
            layers: 0,
            dissolves: 0.0,
            ..ShotConfig::default()
        };
        let mut clip = StillClip::new(&stills, 1, config).unwrap();
        let mut seen: Vec<u8> = [1.0, 4.0, 7.0].map(|time| clip.frame(time).unwrap().pixel(9, 9)[0]).to_vec();
        seen.sort_unstable();
        assert_eq!(seen, [0, 100, 200]);
        assert_eq!(clip.cuts(), [3.0, 6.0]);
        assert!(StillClip::new(&[], 1, config).is_err());
        assert!(StillClip::new(&stills, 1, ShotConfig { duration: 0.0, ..config }).is_err());
        assert!(StillClip::new(&stills, 1, ShotConfig { shot: [3.0, 1.0], ..config }).is_err());
    }

    #[test]
    fn frame_clips_show_frames_at_their_times() {
        let frames: Vec<_> = (0..10u8).map(|i| Image::filled(4, 4, [i; 3])).collect();
        let mut clip = FrameClip::new(frames, 5.0).unwrap();
        assert_eq!(clip.duration(), 2.0);
        for (time, value) in [(-1.0, 0), (0.0, 0), (0.19, 0), (0.2, 1), (0.6, 3), (1.99, 9), (50.0, 9)] {
            assert_eq!(clip.frame(time).unwrap().pixel(0, 0)[0], value, "{time}");
        }
        assert!(FrameClip::new(vec![], 5.0).is_err());
        let mixed = vec![Image::filled(4, 4, [0; 3]), Image::filled(5, 4, [0; 3])];
        assert!(FrameClip::new(mixed.clone(), 5.0).is_err());
        assert!(FrameClip::new(mixed[..1].to_vec(), 0.0).is_err());
    }
}
