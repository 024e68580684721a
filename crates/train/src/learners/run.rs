//! The loop that every burn-trained network shares: steps, validation, checkpoints, resuming, early stop.

use std::collections::BTreeMap;
use std::time::Instant;

use rand::SeedableRng;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::checkpoint;
use crate::monitor::{Monitor, Progress};
use crate::networks::parameters::{Adam, NamedGradients, Parameters};
use crate::stage::{Keyed, StageKey, TrainingStage};

/// How long and how fast a network is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// Updates.
    pub steps: u64,
    /// Learning rate after warm-up.
    pub lr: f32,
    /// Updates of linear warm-up.
    pub warmup: u64,
    /// Rate at the last update, relative to `lr`; the rate falls linearly.
    pub last: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Largest norm of the whole gradient; 0 for no limit.
    pub clip: f32,
    /// Updates between validations.
    pub validate_every: u64,
    /// Validations without a better value after which training ends; 0 for never.
    pub patience: u64,
    /// Seed of everything drawn in training.
    pub seed: u64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            steps: 2000,
            lr: 1e-3,
            warmup: 50,
            last: 0.02,
            weight_decay: 0.0,
            clip: 1.0,
            validate_every: 250,
            patience: 0,
            seed: 1,
        }
    }
}

impl Schedule {
    /// Learning rate of update `step`, counted from 0.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn rate(&self, step: u64) -> f32 {
        if step < self.warmup {
            return self.lr * (step + 1) as f32 / self.warmup as f32;
        }
        let done = (step - self.warmup) as f32 / (self.steps.saturating_sub(self.warmup)).max(1) as f32;
        self.lr * (1.0 - done * (1.0 - self.last))
    }
}

/// The random numbers of update `step`: the same whether or not the run was interrupted.
#[must_use]
pub fn rng_of(seed: u64, step: u64) -> Pcg64 {
    Pcg64::seed_from_u64(seed ^ step.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Losses and other figures by name.
pub type Values = BTreeMap<String, f64>;

/// What the loop drives.
pub trait Learner {
    /// Gradients of update `step` at `parameters`, and its losses (`loss` among them). Buffers (running statistics) may be
    /// moved in `parameters`.
    ///
    /// # Errors
    /// [`TrainError`].
    fn step(
        &mut self,
        step: u64,
        parameters: &mut Parameters,
        rng: &mut Pcg64,
    ) -> Result<(NamedGradients, Values), TrainError>;

    /// Figures on videos that training does not see. `score` among them decides which parameters are kept: larger is
    /// better.
    ///
    /// # Errors
    /// [`TrainError`].
    fn validate(&mut self, parameters: &Parameters) -> Result<Values, TrainError>;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Header {
    stage: String,
    key: StageKey,
    schedule: Schedule,
    step: u64,
    best: Option<f64>,
    stale: u64,
    finished: bool,
    history: Vec<Point>,
}

/// One point of a training curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Updates made.
    pub step: u64,
    /// Mean losses since the point before, and the figures of the validation.
    pub values: Values,
    /// Seconds of training up to here, interruptions left out.
    pub seconds: f64,
}

/// A trained network.
#[derive(Debug, Clone)]
pub struct Trained {
    /// Its parameters where validation was best.
    pub parameters: Parameters,
    /// Training curve.
    pub history: Vec<Point>,
    /// Best validation score.
    pub best: f64,
}

/// Trains from `start`, keeping everything in the checkpoint file of `stage`: an interrupted run
/// continues from its last validation, a finished one is just read. A checkpoint of other settings
/// is set aside ([`TrainingStage::begin`]); the stage's settings and inputs therefore hold all that
/// decides the outcome, `schedule` and what `start` is made from among them.
///
/// # Errors
/// [`TrainError::File`]; [`TrainError::Cancelled`]; whatever the learner reports.
pub fn train(
    stage: &TrainingStage,
    schedule: &Schedule,
    start: Parameters,
    learner: &mut dyn Learner,
    monitor: &mut dyn Monitor,
) -> Result<Keyed<Trained>, TrainError> {
    stage.begin(monitor)?;
    let path = stage.path();
    let mut adam = Adam::default();
    adam.weight_decay = schedule.weight_decay;
    let mut parameters = start;
    let mut best_parameters = parameters.clone();
    let mut header = Header {
        stage: stage.name().to_owned(),
        key: stage.key().clone(),
        schedule: schedule.clone(),
        step: 0,
        best: None,
        stale: 0,
        finished: false,
        history: Vec::new(),
    };
    if path.exists() {
        let (found, tensors): (Header, Parameters) = checkpoint::load(&path)?;
        if (&found.key, &found.schedule) != (&header.key, schedule) {
            let reason = format!("it is a checkpoint of another run ({}): remove it to train anew", found.stage);
            return Err(TrainError::file(&path, reason));
        }
        header = found;
        parameters = checkpoint::part(&tensors, "now");
        best_parameters = checkpoint::part(&tensors, "best");
        adam.restore(&checkpoint::part(&tensors, "adam"));
    }
    let began = Instant::now();
    let before = header.history.last().map_or(0.0, |p| p.seconds);
    let mut sums: BTreeMap<String, (f64, u32)> = BTreeMap::new();
    if header.step == 0 {
        // Where training starts from: it must end above.
        let values: Values =
            learner.validate(&parameters)?.into_iter().map(|(n, v)| (format!("validation_{n}"), v)).collect();
        header.best = values.get("validation_score").copied();
        monitor.report(&progress(&header, values.clone(), 0.0));
        header.history.push(Point { step: 0, values, seconds: 0.0 });
    }
    while !header.finished {
        if monitor.cancelled() {
            return Err(TrainError::Cancelled);
        }
        let (mut gradients, values) =
            learner.step(header.step, &mut parameters, &mut rng_of(schedule.seed, header.step))?;
        if let Some((name, value)) = values.iter().find(|(_, v)| !v.is_finite()) {
            return Err(TrainError::Diverged(format!("{}: `{name}` is {value} at step {}", stage.name(), header.step)));
        }
        clip(&mut gradients, schedule.clip);
        adam.step(&mut parameters, &gradients, schedule.rate(header.step))?;
        for (name, value) in values {
            let sum = sums.entry(name).or_default();
            *sum = (sum.0 + value, sum.1 + 1);
        }
        header.step += 1;
        let seconds = began.elapsed().as_secs_f64();
        let means = || sums.iter().map(|(n, (s, c))| (n.clone(), s / f64::from(*c))).collect::<Values>();
        let last = header.step >= schedule.steps;
        if !last && !header.step.is_multiple_of(schedule.validate_every.max(1)) {
            if header.step.is_multiple_of(10) {
                monitor.report(&progress(&header, means(), seconds));
            }
            continue;
        }
        let mut values = means();
        sums.clear();
        values.extend(learner.validate(&parameters)?.into_iter().map(|(n, v)| (format!("validation_{n}"), v)));
        let score = values.get("validation_score").copied().unwrap_or(f64::NEG_INFINITY);
        // Without a score the latest parameters count as the best.
        if header.best.is_none_or(|b| score > b) || score == f64::NEG_INFINITY {
            header.best = Some(score);
            header.stale = 0;
            best_parameters = parameters.clone();
        } else {
            header.stale += 1;
        }
        header.finished = last || (schedule.patience > 0 && header.stale >= schedule.patience);
        let seconds = before + began.elapsed().as_secs_f64();
        header.history.push(Point { step: header.step, values: values.clone(), seconds });
        let all = checkpoint::join(&[("now", &parameters), ("best", &best_parameters), ("adam", &adam.state())]);
        checkpoint::save(&path, &header, &all)?;
        let mut report = progress(&header, values, seconds);
        if header.finished {
            report.step = report.steps;
        }
        monitor.report(&report);
    }
    let best = header.best.unwrap_or(f64::NEG_INFINITY);
    let value = Trained { parameters: best_parameters, history: header.history, best };
    Ok(Keyed { value, key: header.key })
}

fn progress(header: &Header, values: Values, seconds: f64) -> Progress {
    Progress { stage: header.stage.clone(), step: header.step, steps: header.schedule.steps, values, seconds }
}

/// Scales all gradients down to a common norm of at most `limit`.
#[allow(clippy::cast_possible_truncation)]
fn clip(gradients: &mut NamedGradients, limit: f32) {
    if limit <= 0.0 {
        return;
    }
    let norm = gradients.values().flatten().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt() as f32;
    if norm > limit {
        let factor = limit / norm;
        gradients.values_mut().flatten().for_each(|g| *g *= factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    /// Fits a point under noisy gradients.
    struct Toy {
        steps: u64,
    }

    impl Learner for Toy {
        fn step(
            &mut self,
            _: u64,
            p: &mut Parameters,
            rng: &mut Pcg64,
        ) -> Result<(NamedGradients, Values), TrainError> {
            self.steps += 1;
            let x = p.values("x").unwrap();
            let noise: f32 = rng.random_range(-0.5..0.5);
            let g = vec![2.0 * (x[0] - 3.0) + noise];
            Ok(([("x".to_owned(), g)].into(), [("loss".to_owned(), f64::from(x[0] - 3.0).powi(2))].into()))
        }

        fn validate(&mut self, p: &Parameters) -> Result<Values, TrainError> {
            Ok([("score".to_owned(), -f64::from(p.values("x").unwrap()[0] - 3.0).abs())].into())
        }
    }

    /// Stops after so many steps; counts notes.
    struct StopAfter(u64, u64, usize);

    impl Monitor for StopAfter {
        fn report(&mut self, p: &Progress) {
            self.1 = p.step;
        }

        fn note(&mut self, _: &crate::monitor::StageNote) {
            self.2 += 1;
        }

        fn cancelled(&self) -> bool {
            self.1 >= self.0
        }
    }

    #[test]
    fn an_interrupted_run_ends_as_one_that_was_not() {
        let folder = std::env::temp_dir().join(format!("vidsieve-run-{}", std::process::id()));
        let schedule = Schedule { steps: 200, lr: 0.1, validate_every: 20, ..Schedule::default() };
        let mut start = Parameters::new();
        start.insert("x", &[1], vec![-1.0]);
        let go = |name: &str, monitor: &mut dyn Monitor, settings: &str| {
            let mut toy = Toy { steps: 0 };
            let stage = TrainingStage::new(&folder, name, 1).setting("toy", &settings).unwrap();
            let stage = stage.setting("schedule", &schedule).unwrap();
            let result = train(&stage, &schedule, start.clone(), &mut toy, monitor).map(|trained| trained.value);
            (result, toy.steps)
        };
        let silent = &mut crate::monitor::Silent;
        let whole = go("whole", silent, "a").0.unwrap();
        assert!(matches!(go("parts", &mut StopAfter(90, 0, 0), "a").0, Err(TrainError::Cancelled)));
        let (parts, steps) = go("parts", silent, "a");
        let parts = parts.unwrap();
        assert_eq!(parts.parameters, whole.parameters);
        assert_eq!(steps, 120, "it continued from the validation at step 80");
        assert_eq!(parts.history.len(), 11);
        assert!((whole.parameters.values("x").unwrap()[0] - 3.0).abs() < 0.05);
        assert_eq!(go("whole", silent, "a").1, 0, "a finished run is read");

        // A checkpoint of other settings is not continued from, not even where it was interrupted.
        assert!(matches!(go("others", &mut StopAfter(90, 0, 0), "a").0, Err(TrainError::Cancelled)));
        let mut all = StopAfter(u64::MAX, 0, 0);
        let (others, steps) = go("others", &mut all, "b");
        assert_eq!((others.unwrap().parameters, steps, all.2), (whole.parameters, 200, 1));
        // Nor one that came into the folder from elsewhere.
        std::fs::copy(folder.join("stale/others.safetensors"), folder.join("others.safetensors")).unwrap();
        let message = go("others", silent, "b").0.unwrap_err().to_string();
        assert!(message.contains("others.safetensors") && message.contains("remove it"), "{message}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
