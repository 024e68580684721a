//! What each network learns from, the loop that trains it, and what is fitted after training.

pub mod calibrate;
pub mod coarse;
pub mod direct;
pub mod evidence;
pub mod fine;
pub mod run;
pub mod selector;
pub mod self_supervised;
pub mod validation;
