//! SIMD kernels of Vidsieve, and the only crate of the workspace with `unsafe` code.
//!
//! Every kernel is a safe function that takes an [`Isa`], the proof that an instruction set is there. The
//! same algorithm runs on every path: a generic body over a small vector trait (`simd`, private), compiled once
//! per instruction set. Integer kernels give the same numbers on every path; float kernels agree to rounding.
//!
//! The crate is `no_std` and needs an allocator for packed operands and scratch buffers.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod aligned;
mod arch;
pub mod chamfer;
pub mod comparator;
mod dispatch;
pub mod gemm;
pub mod hamming;
mod isa;
pub mod math;
#[cfg(test)]
mod samples;
pub mod scan;
pub mod selector;
mod simd;
pub mod winograd;

pub use isa::Isa;
