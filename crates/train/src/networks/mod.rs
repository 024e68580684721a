//! Networks in training: graphs on burn, the backbone's engine, parameters, starts and sizes.

pub mod backbone;
pub mod init;
pub mod instance;
pub mod linear;
pub mod losses;
pub mod nets;
pub mod parameters;
pub mod sizes;
